"""BenchMARL's MAPPO on the warehouse; run by run_all.sh in an environment that has benchmarl.

The return must rise from the first iterations to the last.
"""

import tempfile
from pathlib import Path

from benchmarl.algorithms import MappoConfig
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig

from kofn.experiments.integrations.benchmarl import KofnTask


def main() -> None:
    """Train and check the outcome."""
    task = KofnTask.WAREHOUSE_DISPATCH.get_task(config={"n_agents": 8, "k": 3, "max_cycles": 50})
    settings = ExperimentConfig.get_from_yaml()
    settings.gamma, settings.lr = task.discount, 1e-3
    settings.max_n_iters, settings.max_n_frames = 5, None
    settings.on_policy_collected_frames_per_batch, settings.on_policy_n_envs_per_worker = 500, 2
    settings.on_policy_n_minibatch_iters, settings.on_policy_minibatch_size = 8, 250
    settings.evaluation, settings.render, settings.loggers = False, False, ["csv"]
    settings.save_folder = tempfile.mkdtemp()
    model = MlpConfig.get_from_yaml()
    Experiment(task, MappoConfig.get_from_yaml(), model, seed=0, config=settings, critic_model_config=model).run()
    (path,) = Path(settings.save_folder).rglob("collection_reward_episode_reward_mean.csv")
    returns = [float(line.split(",")[1]) for line in path.read_text().splitlines()]
    print("team returns:", [round(value, 1) for value in returns])
    assert len(returns) == settings.max_n_iters
    assert 50 < returns[0] < 50 * 11.5, "a step pays between 1 and 11.5"
    assert max(returns[1:]) > returns[0], returns


if __name__ == "__main__":
    main()

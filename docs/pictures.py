"""Draw the pictures of the README from real rollouts: `python docs/pictures.py`."""

import argparse
from pathlib import Path

from matplotlib.image import imsave

from kofn.agents import AlternatingMARL
from kofn.envs.streams import child
from kofn.envs.warehouse_dispatch import parallel_env
from kofn.experiments.figures import occupancy_figure, save_figure
from kofn.experiments.trajectory import record_rollout
from kofn.wrappers import SubsampleObservation

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Train once, play once, and draw a frame and the episode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    env = SubsampleObservation(parallel_env(render_mode="rgb_array"), arguments.k)
    model = AlternatingMARL(env, seed=0)
    model.learn()
    observations, _ = env.reset(seed=0)
    for _ in range(30):
        observations, *_ = env.step(model.predict(observations))
    imsave(arguments.folder / "warehouse_dispatch.png", env.render())
    setting = model.setting
    episode = record_rollout(
        setting.game,
        model.global_policy,
        model.local_policy,
        setting.n_agents,
        horizon=setting.max_cycles,
        seed=child(model.seed, 101),
    )
    title = f"{setting.game.labels.title}, n = {setting.n_agents}, k = {setting.k}"
    save_figure(occupancy_figure(episode, setting.game, title), arguments.folder / "occupancy.png")


if __name__ == "__main__":
    main()

"""BenchMARL: the registered games as tasks, for any of its algorithms.

`KofnTask.WAREHOUSE_DISPATCH.get_task(config={"n_agents": 20, "k": 5})` is a task; the config holds the arguments of
`kofn.wrappers.factory.make_parallel` (`n_agents`, `k`, `summary`, `max_cycles`, ..), by default the game's own sizes.
Groups are "global" and "local"; "state" is the environment's `state()`, which centralised critics see (give them
`share_param_critic=True` as by default: the reward is the team's).

    from benchmarl.algorithms import MappoConfig
    from benchmarl.experiment import Experiment, ExperimentConfig
    from benchmarl.models.mlp import MlpConfig
    settings, model = ExperimentConfig.get_from_yaml(), MlpConfig.get_from_yaml()
    settings.gamma = task.discount
    Experiment(task, MappoConfig.get_from_yaml(), model, seed=0, config=settings, critic_model_config=model).run()

BenchMARL 1.5.1 needs torchrl < 0.11 (later ones renamed what it uses).

BenchMARL's episode reward is the mean over a group's agents, hence the team's return.
"""

from collections.abc import Callable
from typing import Any

from kofn.envs import GAMES
from kofn.envs.registration import game_module
from kofn.experiments.integrations.requirements import not_installed
from kofn.wrappers.factory import make_parallel

try:
    from benchmarl.environments.common import Task, TaskClass
except ImportError:
    raise not_installed("benchmarl") from None

from kofn.experiments.integrations.torchrl import to_torchrl


class KofnClass(TaskClass):  # type: ignore[misc]  # BenchMARL has no types
    """A registered game as BenchMARL asks for it; `name` is the game's, in capitals."""

    @property
    def game(self) -> str:
        """The registered name."""
        return str(self.name).lower()

    @property
    def discount(self) -> float:
        """Gamma of the task's game, to be passed on to the experiment."""
        env: Any = make_parallel(game=self.game, **self.config).unwrapped
        return float(env.discount)

    def get_env_fun(
        self,
        num_envs: int,  # noqa: ARG002  # BenchMARL's signature
        continuous_actions: bool,  # noqa: ARG002  # likewise
        seed: int | None,
        device: Any,
    ) -> Callable[[], Any]:
        """A function that makes the TorchRL environment."""
        options = {"game": self.game, **self.config}
        return lambda: to_torchrl(make_parallel(**options), seed=seed).to(device)

    def supports_continuous_actions(self) -> bool:
        """No."""
        return False

    def supports_discrete_actions(self) -> bool:
        """Yes."""
        return True

    def has_render(self, env: Any) -> bool:  # noqa: ARG002  # BenchMARL's signature
        """Where the config has `render_mode="rgb_array"`."""
        return bool(self.config.get("render_mode") == "rgb_array")

    def max_steps(self, env: Any) -> int:  # noqa: ARG002  # BenchMARL's signature
        """The horizon."""
        return int(self.config.get("max_cycles", game_module(self.game).DEFAULTS.max_cycles))

    def group_map(self, env: Any) -> dict[str, list[str]]:
        """The sides."""
        groups: dict[str, list[str]] = env.group_map
        return groups

    def observation_spec(self, env: Any) -> Any:
        """What the agents observe."""
        return _only(env, "observation")

    def info_spec(self, env: Any) -> Any:
        """What infos hold: `SteadyInfos`."""
        return _only(env, "info")

    def state_spec(self, env: Any) -> Any:
        """The state."""
        spec = env.observation_spec.clone()
        for group in env.group_map:
            del spec[group]
        return spec

    def action_spec(self, env: Any) -> Any:
        """The agents' actions."""
        return env.full_action_spec

    def action_mask_spec(self, env: Any) -> None:  # noqa: ARG002  # BenchMARL's signature
        """All actions may always be taken."""
        return

    @staticmethod
    def env_name() -> str:
        """The suite."""
        return "kofn"


class _Tasks(Task):  # type: ignore[misc]  # BenchMARL has no types
    """Tasks of this suite."""

    @staticmethod
    def associated_class() -> type[KofnClass]:
        """How they are made."""
        return KofnClass


KofnTask: Any = _Tasks("KofnTask", {name.upper(): None for name in GAMES})
"""The registered games as an enumeration of tasks."""


def _only(env: Any, key: str) -> Any:
    """The environment's observation spec with one entry per group."""
    spec = env.observation_spec.clone()
    del spec["state"]
    for group in env.group_map:
        for other in list(spec[group].keys()):
            if other != key:
                del spec[group][other]
        if spec[group].is_empty():
            del spec[group]
    return spec

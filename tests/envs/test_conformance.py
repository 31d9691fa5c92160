"""Every registered game through PettingZoo's own checks; register a game to test it.

Beside it: `test_conformance_determinism`, `_copies`, `_wrappers`, `_views` and `_torchrl`.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from episodes import every_game, every_game_and_mode, every_limit, make, maker
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.test import (
    api_test,
    max_cycles_test,
    parallel_api_test,
    parallel_seed_test,
    render_test,
    seed_test,
    state_test,
)

from kofn.envs import GAMES, PopulationEnv
from kofn.envs.observations import OBS_MODES
from kofn.envs.registration import game_module

pytestmark = [
    # Advice of PettingZoo's checks that a global and a local agent cannot both follow.
    pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning"),
    pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning"),
    # Advice against obs_mode="discrete" (observations are numpy integers) and "multidiscrete".
    pytest.mark.filterwarnings("ignore:Observation is not a NumPy array:UserWarning"),
    pytest.mark.filterwarnings("ignore:(Observation|State) space for each .* probably should be:UserWarning"),
    # Everybody in state 0, as "multidiscrete" writes it.
    pytest.mark.filterwarnings("ignore:(Observation|State) numpy array is all zeros:UserWarning"),
]

UNSTRUCTURED = {"federated_averaging", "gaussian_squeeze_native"}
"""Games whose reward is not r_g + the mean of r_l."""


def test_there_are_games() -> None:
    assert GAMES


@every_game_and_mode
@every_limit
class TestPettingZoo:
    """PettingZoo's own checks."""

    def test_parallel_api(self, name: str, limit: dict[str, Any], obs_mode: str) -> None:
        parallel_api_test(maker("parallel", name, obs_mode=obs_mode, **limit)(), num_cycles=10)

    def test_aec_api(self, name: str, limit: dict[str, Any], obs_mode: str) -> None:
        api_test(maker("aec", name, obs_mode=obs_mode, **limit)(), num_cycles=10)

    def test_seeds(self, name: str, limit: dict[str, Any], obs_mode: str) -> None:
        seed_test(maker("aec", name, obs_mode=obs_mode, **limit), num_cycles=10)
        parallel_seed_test(maker("parallel", name, obs_mode=obs_mode, **limit), num_cycles=10)

    def test_state(self, name: str, limit: dict[str, Any], obs_mode: str) -> None:
        options = {"obs_mode": obs_mode, **limit}
        state_test(maker("aec", name, **options)(), maker("parallel", name, **options)())


@every_game
@every_limit
def test_modes_that_are_not_declared_are_refused(name: str, limit: dict[str, Any]) -> None:
    declared = game_module(name).DEFAULTS.obs_modes
    assert declared[0] == "box", "the default mode, which every game has"
    for mode in set(OBS_MODES) - set(declared):
        with pytest.raises(ValueError, match=f"obs_mode must be one of 'box'.*; got '{mode}'"):
            maker("parallel", name, obs_mode=mode, **limit)()


@every_game
@pytest.mark.parametrize("kind", ["parallel", "aec"])
def test_metadata_says_whether_the_reward_is_structured(name: str, kind: str) -> None:
    assert maker(kind, name, k=3)().metadata["structured"] is (name not in UNSTRUCTURED)


@every_game
@pytest.mark.parametrize("k", [None, 3])
def test_render(name: str, k: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(PopulationEnv.metadata, "render_fps", 1000)
    render_test(maker("aec", name, k=k))


@every_game
@pytest.mark.parametrize("k", [None, 3])
def test_max_cycles(name: str, k: int | None) -> None:
    max_cycles_test(SimpleNamespace(parallel_env=maker("parallel", name, k=k), env=maker("aec", name, k=k)))


@every_game
def test_module_has_the_customary_constructors(name: str) -> None:
    module = game_module(name)
    small: Any = SimpleNamespace(
        parallel_env=lambda **options: module.parallel_env(n_agents=12, **options),
        env=lambda **options: module.env(n_agents=12, **options),
    )
    max_cycles_test(small)
    assert isinstance(small.env(), AECEnv)
    assert isinstance(small.parallel_env(), ParallelEnv)


@every_game
@pytest.mark.parametrize("limited", [False, True])
def test_default_size_works(name: str, limited: bool) -> None:
    defaults = game_module(name).DEFAULTS
    limit = {"k": defaults.k} if limited else {}
    env = make("parallel", name, **limit)
    observations, _ = env.reset(seed=0)
    assert len(observations) == defaults.n_agents + 1
    assert env.unwrapped.max_cycles == defaults.max_cycles
    for _ in range(2):
        assert all(env.observation_space(agent).contains(seen) for agent, seen in observations.items())
        observations, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})


@every_game
def test_docstring_is_the_specification(name: str) -> None:
    text = game_module(name).__doc__ or ""
    headings = "Description, Spaces, Dynamics, Rewards, Starting State, Episode End, Arguments, References"
    missing = [title for title in [*headings.split(", "), "Version History"] if f"\n## {title}\n" not in text]
    assert not missing
    assert f"\n* v{GAMES[name]}: " in text, "the version history lacks the registered version"

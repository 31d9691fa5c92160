"""Every registered game through PettingZoo's own checks and a determinism check of ours; register a game to test it.

PettingZoo 1.27's `parallel_seed_test` stops after one step. `assert_same_episode` plays to the end and compares all
that an environment returns; the tests after it show that it finds noise of every kind, however late.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Discrete
from gymnasium.utils.env_checker import data_equivalence
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
from pettingzoo.utils import BaseParallelWrapper

from kofn.envs import GAMES, PopulationEnv, game_id
from kofn.envs.observations import OBS_MODES
from kofn.envs.registration import game_module

pytestmark = [
    pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo before 1.27 has no registry"),
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

LIMITS = [{}, {"k": 3}, {"k": 3, "summary": "states"}]
every_game = pytest.mark.parametrize("name", GAMES)
every_limit = pytest.mark.parametrize("limit", LIMITS, ids=["unlimited", "histogram of 3", "states of 3"])
MODES = [(name, mode) for name in GAMES for mode in game_module(name).DEFAULTS.obs_modes]
every_game_and_mode = pytest.mark.parametrize(("name", "obs_mode"), MODES)


def maker(kind: Any, name: str, **options: Any) -> Callable[..., Any]:
    """A constructor of small environments of a registered game."""
    small = {"n_agents": 12, "max_cycles": 6, **options}
    return lambda **more: pettingzoo.make(kind, game_id(name), **{**small, **more})


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
    env = pettingzoo.make("parallel", game_id(name), **limit)
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


# Determinism of whole episodes.

RESET_GIVES = ("observations", "infos", "agents", "state")
STEP_GIVES = ("observations", "rewards", "terminations", "truncations", "infos", "agents", "state")


def random_actions(env: Any, rng: np.random.Generator) -> dict[str, int]:
    spaces = {agent: env.action_space(agent) for agent in env.agents}
    assert all(isinstance(space, Discrete) for space in spaces.values())
    return {agent: int(rng.integers(space.n)) for agent, space in spaces.items()}


def episode(env: Any, seed: int | None, action_seed: int = 0) -> Iterator[tuple[Any, ...]]:
    """All that an environment returns in one episode of random actions: each step's values and the state."""
    rng = np.random.default_rng(action_seed)
    yield (*env.reset(seed=seed), list(env.agents), env.state())
    while env.agents:
        yield (*env.step(random_actions(env, rng)), list(env.agents), env.state())


def assert_same_episode(first: Any, second: Any, seed: int) -> None:
    """From one seed and the same actions, two environments return the same until both end; bit by bit."""
    steps = zip(episode(first, seed), episode(second, seed), strict=True)
    for step, (ours, theirs) in enumerate(steps):
        for name, a, b in zip(RESET_GIVES if step == 0 else STEP_GIVES, ours, theirs, strict=True):
            assert data_equivalence(a, b, exact=True), f"{name} differ at step {step}"


@every_game_and_mode
@every_limit
def test_same_seed_same_episode(name: str, limit: dict[str, Any], obs_mode: Any) -> None:
    make = maker("parallel", name, obs_mode=obs_mode, max_cycles=30, **limit)
    used = make()
    list(episode(used, seed=5, action_seed=9))
    assert_same_episode(make(), used, seed=42)


@every_game
@pytest.mark.parametrize("k", [None, 3])
def test_same_seed_same_sequence_of_episodes(name: str, k: int | None) -> None:
    first, second = maker("parallel", name, k=k)(), maker("parallel", name, k=k)()
    histories = [[list(episode(env, seed)) for seed in (7, None, None)] for env in (first, second)]
    assert data_equivalence(*histories, exact=True)
    states = [np.array([step[-1] for step in one]) for one in histories[0]]
    assert not np.array_equal(states[0], states[1]), "an unseeded reset repeats the episode before it"
    assert not np.array_equal(states[1], states[2])


@every_game
@every_limit
def test_other_seed_other_episode(name: str, limit: dict[str, Any]) -> None:
    make = maker("parallel", name, **limit)
    assert not data_equivalence(list(episode(make(), 1)), list(episode(make(), 2)), exact=True)
    states = [np.array([step[-1] for step in episode(make(), seed)]) for seed in (1, 2)]
    assert not np.array_equal(*states)


class Noisy(BaseParallelWrapper[str, Any, int]):
    """Disturbs one of the returned things by unseeded noise, in the last but one step only."""

    def __init__(self, env: Any, what: str) -> None:
        super().__init__(env)
        self.what = what
        self.disturbed_state = 0.0

    def step(self, actions: dict[str, int]) -> Any:
        values = self.env.step(actions)
        population: Any = self.env.unwrapped
        if population.timestep != population.max_cycles - 1:
            return values
        noise = np.random.default_rng().random()
        observations, rewards, terminations, truncations, infos = values
        match self.what:
            case "observations":
                observations["local_3"] = observations["local_3"] + np.float32(noise)
            case "rewards":
                rewards["local_3"] += 1e-12 * noise
            case "terminations" | "truncations":
                flags = terminations if self.what == "terminations" else truncations
                flags["local_3"] = self.unlike()
            case "infos":
                infos["local_3"]["noise"] = noise
            case "state":
                self.disturbed_state = noise
        return values

    def state(self) -> Any:
        return self.env.state() + self.disturbed_state

    def unlike(self) -> bool:
        """A flag that differs between two wrappers made one after the other."""
        Noisy.flag = not Noisy.flag
        return Noisy.flag

    flag = False


@pytest.mark.parametrize("what", ["observations", "rewards", "terminations", "truncations", "infos", "state"])
def test_late_noise_is_found(what: str) -> None:
    make = maker("parallel", "warehouse_dispatch", max_cycles=30)
    assert_same_episode(Noisy(make(), "nothing"), Noisy(make(), "nothing"), seed=0)
    with pytest.raises(AssertionError, match=f"{what} differ at step 29"):
        assert_same_episode(Noisy(make(), what), Noisy(make(), what), seed=0)


class Forgetful(BaseParallelWrapper[str, Any, int]):
    """Ignores the seed."""

    def reset(self, **_ignored: Any) -> Any:
        return self.env.reset()


class Lengthening(BaseParallelWrapper[str, Any, int]):
    """Every episode is longer than the one before."""

    def reset(self, seed: Any = None, options: Any = None) -> Any:
        population: Any = self.env.unwrapped
        population.max_cycles += 1
        return self.env.reset(seed=seed, options=options)


def test_ignored_seed_is_found() -> None:
    make = maker("parallel", "warehouse_dispatch")
    with pytest.raises(AssertionError, match="differ at step 0"):
        assert_same_episode(Forgetful(make()), Forgetful(make()), seed=0)


def test_memory_of_earlier_episodes_is_found() -> None:
    used, fresh = (Lengthening(maker("parallel", "warehouse_dispatch")()) for _ in range(2))
    used.reset(seed=1)
    with pytest.raises(AssertionError, match="truncations differ at step 7"):
        assert_same_episode(used, fresh, seed=0)

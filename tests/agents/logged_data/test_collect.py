"""Logging an environment through its interface: against a replay of the same actions, and with foreign environments."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from scipy.stats import chisquare

from kofn.agents.logged_data import collect as module
from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.transitions import Transitions
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.observations import OBS_MODES, LocalEncoding
from kofn.envs.population import count_states
from kofn.envs.warehouse_dispatch import env as aec_env
from kofn.wrappers import SubsampleObservation

Games = Callable[..., TabularGame]
N, K = 6, 2


@pytest.fixture(scope="module")
def game(random_game: Games) -> TabularGame:
    return random_game(8, n_global=2, n_local=3, n_global_actions=3, n_local_actions=2)


def limited(game: TabularGame, **options: Any) -> Any:
    return SubsampleObservation(PopulationEnv(game, N, **{"max_cycles": 7, **options}), K)


class Recorder(BaseParallelWrapper):
    """Writes down true states, samples, actions and payments while somebody else plays."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.rows: list[dict[str, Any]] = []

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        observations, infos = self.env.reset(seed=seed, options=options)
        self.sampled = infos["global_0"].get("sampled_agents")
        return observations, infos

    def step(self, actions: Any) -> Any:
        simulator = self.unwrapped.simulator
        row = {"s_g": int(simulator.global_states[0]), "s": simulator.local_states[0].copy(), "sampled": self.sampled}
        row["a_g"] = actions["global_0"]
        row["a"] = np.array([actions[f"local_{i}"] for i in range(N)])
        results = self.env.step(actions)
        row["r"] = simulator.local_rewards[0].copy()
        row["r_g"] = results[4]["global_0"]["reward_global"]
        row["s_g'"], row["s'"] = int(simulator.global_states[0]), simulator.local_states[0].copy()
        self.sampled = results[4]["global_0"].get("sampled_agents")
        self.rows.append(row)
        return results


@pytest.mark.parametrize("obs_mode", OBS_MODES)
@pytest.mark.parametrize("block", [2**22, 5 * N])
def test_the_log_is_what_happened(
    game: TabularGame, obs_mode: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over two and a half episodes, counted in one block or in several."""
    monkeypatch.setattr(module, "BLOCK_ENTRIES", block)
    env = Recorder(limited(game, obs_mode=obs_mode))
    log = collect_transitions(env, n_steps=18, seed=5)
    assert (len(log), log.k, log.own_rewards) == (18, K, None)
    moves = np.zeros((3, 2, 2, 3), dtype=int)
    for t, row in enumerate(env.rows):
        assert (log.global_states[t], log.global_actions[t], log.next_global_states[t]) == (
            row["s_g"],
            row["a_g"],
            row["s_g'"],
        )
        before, after = row["s"][row["sampled"]], row["s'"][row["sampled"]]
        assert (log.histograms[t] == np.bincount(before, minlength=3)).all()
        assert (log.next_histograms[t] == np.bincount(after, minlength=3)).all()
        pairs = before * 2 + row["a"][row["sampled"]]
        assert (log.sampled_counts[t].ravel() == np.bincount(pairs, minlength=6)).all()
        assert log.global_rewards[t] == row["r_g"]
        assert log.sampled_rewards[t] == pytest.approx(row["r_g"] + row["r"][row["sampled"]].mean(), abs=1e-12)
        np.add.at(moves, (row["s"], row["s_g"], row["a"], row["s'"]), 1)
    assert (log.local_moves == moves).all()
    # The agents of D change between rows, never within one.
    assert len({tuple(sorted(row["sampled"])) for row in env.rows}) > 3


def test_without_a_limit_everyone_is_seen(game: TabularGame) -> None:
    env = Recorder(PopulationEnv(game, N, max_cycles=7))
    log = collect_transitions(env, n_steps=10, seed=2)
    assert log.k == N
    states = np.array([row["s"] for row in env.rows])
    assert (log.histograms == count_states(states, 3)).all()
    team = [row["r_g"] + row["r"].mean() for row in env.rows]
    assert log.sampled_rewards == pytest.approx(np.array(team), abs=1e-12)


def shares(log: Transitions) -> tuple[Any, Any]:
    """How often each a_g by s_g, and each a_l by (s_l, s_g)."""
    actions = np.zeros((2, 3))
    np.add.at(actions, (log.global_states, log.global_actions), 1)
    return actions, log.local_moves.sum(axis=3)


def test_omitted_policies_are_uniform(game: TabularGame) -> None:
    actions, local_actions = shares(collect_transitions(limited(game), n_steps=2000, seed=0))
    assert chisquare(actions.ravel(), np.repeat(actions.mean(axis=1), 3)).pvalue > 1e-3
    expected = np.repeat(local_actions.mean(axis=2).ravel(), 2)
    assert chisquare(local_actions.ravel(), expected).pvalue > 1e-3


def test_policies_are_played(game: TabularGame) -> None:
    """A deterministic global policy of (s_g, F_D), explored around with probability .3, and a random local one."""
    rng = np.random.default_rng(1)
    global_policy = GlobalPolicy(table=rng.integers(3, size=(2, 6)), k=K, n_local_states=3, n_actions=3)
    local_policy = LocalPolicy(rng.dirichlet(np.ones(2), (3, 2)))
    policies = {"global_policy": global_policy, "local_policy": local_policy}
    greedy = collect_transitions(limited(game), n_steps=300, seed=0, **policies)
    assert (greedy.global_actions == global_policy.act(greedy.global_states, greedy.histograms)).all()
    log = collect_transitions(limited(game), n_steps=3000, epsilon=0.3, seed=1, **policies)
    followed = (log.global_actions == global_policy.act(log.global_states, log.histograms)).mean()
    chance = 0.7 + 0.3 / 3
    assert abs(followed - chance) < 4 * np.sqrt(chance * (1 - chance) / 3000)
    taken = log.local_moves.sum(axis=3)
    expected = taken.sum(axis=2, keepdims=True) * local_policy.table
    assert (np.abs(taken - expected) < 5 * np.sqrt(expected * (1 - local_policy.table))).all()


def test_a_stochastic_global_policy_is_drawn_from(game: TabularGame) -> None:
    table = np.tile([0.2, 0.5, 0.3], (2, 6, 1))
    policy = GlobalPolicy(table=table, k=K, n_local_states=3, n_actions=3)
    log = collect_transitions(limited(game), n_steps=2000, global_policy=policy, seed=0)
    assert chisquare(np.bincount(log.global_actions), 2000 * table[0, 0]).pvalue > 1e-3


def test_the_log_is_a_function_of_its_seed(game: TabularGame) -> None:
    def columns(seed: Any) -> list[Any]:
        log = collect_transitions(limited(game), n_steps=40, seed=seed)
        return [log.histograms.tolist(), log.next_histograms.tolist(), log.global_actions.tolist()]

    assert columns(3) == columns(3) == columns(np.random.SeedSequence(3))
    assert columns(3) != columns(4)
    assert columns(None) != columns(None)


class Foreign(ParallelEnv):
    """Another package's environment: integers for observations, two agents, own seeds; agent 1 is always seen."""

    def __init__(self, terminates: bool = False, infos: tuple[str, ...] = ("reward_global", "reward_sampled")) -> None:
        self.metadata = {"name": "foreign"}
        self.possible_agents = ["global_0", "local_1", "local_0"]
        self.terminates, self.keys = terminates, infos
        self.agents: list[str] = []

    def action_space(self, agent: str) -> Discrete:  # noqa: ARG002  # part of the API
        return Discrete(2)

    def _observe(self) -> dict[str, int]:
        return {"global_0": 99, "local_0": 2 * self.x[0] + self.s_g, "local_1": 2 * self.x[1] + self.s_g}

    def reset(self, seed: int | None = None, options: Any = None) -> Any:  # noqa: ARG002  # part of the API
        self.agents, self.s_g, self.x = list(self.possible_agents), 1, [0, 1]
        return self._observe(), {"global_0": {"sampled_agents": [1]}}

    def step(self, actions: dict[str, int]) -> Any:
        local = [actions["local_0"], actions["local_1"]]
        values = {"reward_global": 10.0 * self.s_g, "reward_sampled": 10.0 * self.s_g + self.x[1]}
        info = {"sampled_agents": [1], **{key: values[key] for key in self.keys}}
        self.x = [(x + a) % 3 for x, a in zip(self.x, local, strict=True)]
        self.s_g = actions["global_0"]
        flags = dict.fromkeys(self.agents, False)
        return (
            self._observe(),
            dict.fromkeys(self.agents, -7.0),
            {**flags, "local_0": self.terminates},
            flags,
            {"global_0": info},
        )


def test_environments_of_other_packages_can_be_logged() -> None:
    encoding = LocalEncoding(2, 3, "discrete")
    log = collect_transitions(Foreign(), n_steps=50, local_encoding=encoding, seed=0)
    assert log.sizes == (2, 3, 2, 2)
    assert log.k == 1
    seen = log.histograms.argmax(axis=1)
    assert (log.sampled_rewards == 10 * log.global_states + seen).all()
    assert (log.global_rewards == 10 * log.global_states).all()
    assert (log.next_global_states == log.global_actions).all()
    moved = seen + log.sampled_counts.sum(axis=1)[:, 1]
    assert (log.next_histograms.argmax(axis=1) == moved % 3).all()
    assert (seen[1:] == log.next_histograms.argmax(axis=1)[:-1]).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1; got 0"),
        ({"epsilon": -0.5}, ValueError, r"epsilon must lie in \[0, 1\]; got -0\.5"),
        ({"epsilon": "a"}, TypeError, "epsilon must be a number; got 'a'"),
        ({"seed": "a"}, TypeError, "seed must be a nonnegative integer"),
        (
            {"local_policy": LocalPolicy(np.full((2, 2, 2), 0.5))},
            ValueError,
            r"local_policy must match the environment's \[.*\] = \(3, 2, 2\); it has \(2, 2, 2\)",
        ),
        (
            {"global_policy": GlobalPolicy(table=np.zeros((2, 3), dtype=int), k=2, n_local_states=2, n_actions=3)},
            ValueError,
            r"global_policy must match the environment's .* = \(2, 3, 3\); it has \(2, 2, 3\)",
        ),
        (
            {"global_policy": GlobalPolicy(table=np.zeros((2, 3), dtype=int), k=1, n_local_states=3, n_actions=3)},
            ValueError,
            "histograms must count the k=1 agents seen",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(
    game: TabularGame, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        collect_transitions(limited(game), **{"n_steps": 5, **options})


@pytest.mark.parametrize(
    ("env", "error", "message"),
    [
        (Foreign(), TypeError, "local_encoding must be given for an environment that is no .*; got Foreign"),
        (aec_env(n_agents=3), TypeError, "env must be a parallel PopulationEnv, possibly wrapped; got"),
    ],
)
def test_environments_that_cannot_be_read_are_refused(env: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        collect_transitions(env, n_steps=5)


def test_environments_of_another_game_are_refused(game: TabularGame) -> None:
    encoding = LocalEncoding(2, 3, "discrete")
    with pytest.raises(ValueError, match="env must go on for ever or truncate; it terminated"):
        collect_transitions(Foreign(terminates=True), n_steps=5, local_encoding=encoding)
    for key, other in (("reward_sampled", "reward_global"), ("reward_global", "reward_sampled")):
        with pytest.raises(ValueError, match=rf"infos\['global_0'\] must hold '{key}' after a step; it holds"):
            collect_transitions(Foreign(infos=(other,)), n_steps=5, local_encoding=encoding)
    renamed = Foreign()
    renamed.possible_agents = ["global_0", "robot_0"]
    with pytest.raises(
        ValueError, match=r"env must have agents 'global_0', 'local_0', .* got \['global_0', 'robot_0'\]"
    ):
        collect_transitions(renamed, n_steps=5, local_encoding=encoding)
    with pytest.raises(ValueError, match="env must have local_timing='paper'"):
        collect_transitions(limited(game, local_timing="code"), n_steps=5)

"""Logging transitions of a standard parallel environment.

The environment is used through its interface alone: actions go in; observations, rewards and infos come out. Who is
in D at step t is `infos["global_0"]["sampled_agents"]` as returned WITH the observation of step t; F_D and F'_D are
counted from those agents' own observations before and after the step, and r_D is `infos["global_0"]["reward_sampled"]`
after it. Without a limit on what the global agent sees, D is everyone and r_D the team reward.

Every local agent acts by one local policy; the global agent acts by a global policy on (s_g, F_D), or uniformly with
probability epsilon. Episodes that reach their horizon are followed by new ones: a truncated step is a transition like
any other.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from pettingzoo import ParallelEnv

from kofn.agents.alternation.setting import finite_setting
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import IntArray, integer
from kofn.envs.observations import LocalEncoding, Observation
from kofn.envs.parallel import GLOBAL_AGENT, Info, PopulationEnv
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import count_states
from kofn.envs.streams import Seed, child, seed_sequence

ENVIRONMENT_STREAM, POLICY_STREAM = range(2)

BLOCK_ENTRIES = 2**22
"""Agents times steps that are kept one by one before they are counted."""


@checked_types
def collect_transitions(
    env: ParallelEnv[str, Observation, int],
    *,
    n_steps: int,
    global_policy: GlobalPolicy | None = None,
    local_policy: LocalPolicy | None = None,
    epsilon: float = 0.0,
    local_encoding: LocalEncoding | None = None,
    seed: Seed = None,
) -> Transitions:
    """Play `n_steps` steps from a reset and log them.

    Args:
        env: a PopulationEnv, usually limited by SubsampleObservation; or any parallel environment with agents
            `global_0`, `local_0` .. `local_{n-1}` and the infos of the module docstring besides `reward_global`.
        n_steps: T.
        global_policy: pi_g, which observes as many agents as D holds; omitted: uniform actions.
        local_policy: pi_l; omitted: uniform actions. Off-policy learning values the global agent against this policy.
        epsilon: probability of a uniform global action instead of pi_g's.
        local_encoding: how a local agent's observation is read; needed for environments of other packages.
        seed: source of all randomness, the environment's included.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, a policy of another game, an environment
            with other agents or without those infos, or one that terminates (the games never do).
    """
    n_steps = integer("n_steps", n_steps, 1)
    actor = _Actor(env, global_policy, local_policy, epsilon, local_encoding)
    root = seed_sequence(seed)
    steps = _play(env, actor, root)
    length = max(1, BLOCK_ENTRIES // actor.n_agents)
    blocks = (list(islice(steps, min(length, n_steps - begun))) for begun in range(0, n_steps, length))
    return Transitions.concatenate([_log(block, actor.sizes) for block in blocks])


class _Step(NamedTuple):
    """One step as it was observed, before counting."""

    global_state: int
    local_states: IntArray
    global_action: int
    local_actions: IntArray
    global_reward: float
    sampled_reward: float
    next_global_state: int
    next_local_states: IntArray
    sampled: IntArray


class _Actor:
    """Reads observations and chooses everybody's actions."""

    def __init__(
        self,
        env: ParallelEnv[str, Observation, int],
        global_policy: GlobalPolicy | None,
        local_policy: LocalPolicy | None,
        epsilon: float,
        local_encoding: LocalEncoding | None,
    ) -> None:
        self.epsilon = chance("epsilon", epsilon)
        self.encoding = local_encoding if local_encoding is not None else _own_encoding(env)
        self.names = [f"local_{i}" for i in range(len(env.possible_agents) - 1)]
        if not self.names or set(env.possible_agents) != {GLOBAL_AGENT, *self.names}:
            raise ValueError(f"env must have agents 'global_0', 'local_0', 'local_1', ..; got {env.possible_agents}")
        spaces: list[Any] = [env.action_space(GLOBAL_AGENT), env.action_space(self.names[0])]
        states = self.encoding.n_global_states, self.encoding.n_local_states
        self.sizes = SpaceSizes(*states, *(int(space.n) for space in spaces))
        self.global_policy = global_policy
        self.local_policy = local_policy
        self._check_policies()

    @property
    def n_agents(self) -> int:
        """Number of local agents, n."""
        return len(self.names)

    def _check_policies(self) -> None:
        sizes = self.sizes
        if self.local_policy is not None:
            wanted: tuple[int, ...] = (sizes.n_local_states, sizes.n_global_states, sizes.n_local_actions)
            _check_sizes("local_policy", "[|S_l|, |S_g|, |A_l|]", self.local_policy.table.shape, wanted)
        if self.global_policy is not None:
            policy = self.global_policy
            found = (policy.n_global_states, policy.n_local_states, policy.n_actions)
            wanted = (sizes.n_global_states, sizes.n_local_states, sizes.n_global_actions)
            _check_sizes("global_policy", "(|S_g|, |S_l|, |A_g|)", found, wanted)

    def read(self, observations: Mapping[str, Observation]) -> tuple[int, IntArray]:
        """(s_g, states of all local agents), from the local agents' observations."""
        local_states, global_states = self.encoding.decode(np.stack([observations[name] for name in self.names]))
        return int(global_states[0]), local_states

    def act(
        self, global_state: int, local_states: IntArray, sampled: IntArray, rng: np.random.Generator
    ) -> tuple[int, IntArray]:
        """(a_g, actions of all local agents)."""
        if self.local_policy is None:
            local_actions = rng.integers(self.sizes.n_local_actions, size=len(local_states))
        else:
            local_actions = self.local_policy.act(local_states, np.array(global_state), rng)
        explore = rng.random() < self.epsilon
        if self.global_policy is None or explore:
            return int(rng.integers(self.sizes.n_global_actions)), local_actions
        seen = count_states(local_states[None, sampled], self.sizes.n_local_states)
        return int(self.global_policy.act(np.array([global_state]), seen, rng)[0]), local_actions


def _play(env: ParallelEnv[str, Observation, int], actor: _Actor, root: np.random.SeedSequence) -> Iterator[_Step]:
    """Steps without end, from a reset."""
    rng = np.random.default_rng(child(root, POLICY_STREAM))
    observations, infos = env.reset(seed=int(child(root, ENVIRONMENT_STREAM).generate_state(1)[0]))
    while True:
        if not env.agents:
            observations, infos = env.reset()
        global_state, local_states = actor.read(observations)
        sampled = np.asarray(infos[GLOBAL_AGENT].get("sampled_agents", np.arange(actor.n_agents)))
        global_action, local_actions = actor.act(global_state, local_states, sampled, rng)
        actions = {GLOBAL_AGENT: global_action, **dict(zip(actor.names, local_actions.tolist(), strict=True))}
        limited = "sampled_agents" in infos[GLOBAL_AGENT]
        observations, rewards, terminations, _, infos = env.step(actions)
        if any(terminations.values()):
            raise ValueError("env must go on for ever or truncate; it terminated")
        paid = _rewards(infos[GLOBAL_AGENT], None if limited else rewards[GLOBAL_AGENT])
        yield _Step(global_state, local_states, global_action, local_actions, *paid, *actor.read(observations), sampled)


def _rewards(info: Info, team_reward: float | None) -> tuple[float, float]:
    """(r_g, r_D) of a step; D is everyone when the team reward is given."""
    needed = ("reward_global",) if team_reward is not None else ("reward_global", "reward_sampled")
    missing = [name for name in needed if name not in info]
    if missing:
        raise ValueError(f"infos['global_0'] must hold {missing[0]!r} after a step; it holds {sorted(info)}")
    return float(info["reward_global"]), float(info["reward_sampled"] if team_reward is None else team_reward)


def _log(steps: list[_Step], sizes: SpaceSizes) -> Transitions:
    """The steps, counted."""
    columns = dict(zip(_Step._fields, map(np.array, zip(*steps, strict=True)), strict=True))
    return Transitions.from_arrays(
        (columns["global_state"], columns["local_states"]),
        (columns["global_action"], columns["local_actions"]),
        (columns["global_reward"], columns["sampled_reward"]),
        (columns["next_global_state"], columns["next_local_states"]),
        sizes=sizes,
        sampled=columns["sampled"],
    )


def chance(name: str, value: float) -> float:
    """`value` as a float after checking that it lies in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__})")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1]; got {value}")
    return float(value)


def _own_encoding(env: ParallelEnv[str, Observation, int]) -> LocalEncoding:
    """The encoding of an environment of this package, after checking that its agents move as in the paper."""
    if not isinstance(getattr(env, "unwrapped", None), PopulationEnv):
        raise TypeError(
            "local_encoding must be given for an environment that is no parallel PopulationEnv; "
            f"got {type(env).__name__}"
        )
    encoding = finite_setting(env).local_encoding
    assert isinstance(encoding, LocalEncoding)
    return encoding


def _check_sizes(name: str, sizes: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        raise ValueError(f"{name} must match the environment's {sizes} = {wanted}; it has {found}")

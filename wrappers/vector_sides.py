"""The two sides of a game in B populations at once, for `kofn.wrappers.vector_views`.

Each side is played by the learner in all B populations while the other side's policy is fixed, by the laws of
`GlobalBestResponse` and `LocalBestResponse`; populations are kept as counts and stepped together.
"""

from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from kofn.envs.arrays import BoolArray, FloatArray, IntArray, first_index, one_of
from kofn.envs.dynamics import Draws
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.observations import OBS_MODES, GlobalEncoding, LocalEncoding, Observation, ObsMode, Space, one_hot
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.simulator import LumpedSimulator, Payment
from kofn.envs.streams import Streams
from kofn.wrappers.view import View

NOBODYS: FloatArray = np.zeros(0)
"""Rewards of tagged agents where there are none."""


class Side(Protocol):
    """The learner's side in B populations."""

    observation_space: Space
    action_space: Space
    others: str | None
    own_rewards: FloatArray

    def restart(self, streams: Streams, chosen: IntArray) -> None:
        """New starts of the populations numbered `chosen`, at first of all."""

    def observe(self, streams: Streams) -> Observation:
        """What the learner sees of all populations, [B, ..]."""

    def step(self, actions: IntArray, streams: Streams) -> Payment:
        """Play the learner's checked actions, [B] or [B, s_l]."""


class _Populations:
    """B lumped populations of n agents, some of which may start anew while others go on."""

    def __init__(self, view: View, n_agents: int, n_envs: int) -> None:
        self.view, self.simulator = view, LumpedSimulator(view.game, n_agents, n_populations=n_envs)

    def restart(self, streams: Streams, chosen: IntArray) -> FloatArray:
        """New starts of the populations numbered `chosen`; returns the laws that their agents started from."""
        simulator = self.simulator
        if len(chosen) == simulator.n_populations:
            simulator.reset(streams)
            return simulator.start_laws
        fresh = LumpedSimulator(simulator.game, simulator.n_agents, n_populations=len(chosen))
        fresh.reset(streams)
        global_states, counts = simulator.global_states.copy(), simulator.counts.copy()
        global_states[chosen], counts[chosen] = fresh.global_states, fresh.counts
        simulator.global_states, simulator.counts = global_states, counts
        return fresh.start_laws

    def sample(self, counts: IntArray) -> IntArray:
        """Histograms of the agents seen, int64 [B, s_l]."""
        return self.view.sample(counts, None, self.simulator.global_states)


class Dispatcher:
    """The global agent, all local agents following one policy."""

    others: str | None = None
    own_rewards = NOBODYS

    def __init__(self, view: View, n_envs: int, local_policy: LocalPolicy, obs_mode: ObsMode) -> None:
        game = view.game
        self._populations = _Populations(view, view.n_agents, n_envs)
        self._local_policy = local_policy
        self._encoding = GlobalEncoding(game.n_global_states, game.n_local_states, view.k, "histogram", obs_mode)
        self.observation_space = self._encoding.space()
        self.action_space: Space = Discrete(game.n_global_actions)

    def restart(self, streams: Streams, chosen: IntArray) -> None:
        """See `Side`."""
        self._populations.restart(streams, chosen)

    def observe(self, streams: Streams) -> Observation:  # noqa: ARG002  # the view has them
        """See `Side`: the global states and fresh samples."""
        simulator = self._populations.simulator
        return self._encoding.encode(simulator.global_states, self._populations.sample(simulator.counts))

    def step(self, actions: IntArray, streams: Streams) -> Payment:  # noqa: ARG002  # the simulator has them
        """See `Side`."""
        return self._populations.simulator.step(actions, self._local_policy.table)


class Tagged:
    """One agent of each population, the others keeping their policy."""

    others: str | None = "keep local_policy"
    own_rewards = NOBODYS

    def __init__(
        self, view: View, n_envs: int, global_policy: GlobalPolicy, local_policy: LocalPolicy, obs_mode: ObsMode
    ) -> None:
        game = view.game
        self._populations = _Populations(view, view.n_agents - 1, n_envs)
        self._global_policy, self._local_policy = global_policy, local_policy
        self._encoding = LocalEncoding(game.n_global_states, game.n_local_states, obs_mode)
        self._states = np.zeros(n_envs, dtype=np.int64)
        self.observation_space = self._encoding.space()
        self.action_space: Space = Discrete(game.n_local_actions)

    def restart(self, streams: Streams, chosen: IntArray) -> None:
        """See `Side`: the others, then the agents themselves from their episodes' laws."""
        laws = self._populations.restart(streams, chosen)
        states = self._states.copy()
        states[chosen] = sample_rows(streams.policy.random(len(chosen)), cumulative_thresholds(laws))
        self._states = states

    def observe(self, streams: Streams) -> Observation:  # noqa: ARG002  # nothing is drawn
        """See `Side`: the agents' own states and the global states."""
        return self._encoding.encode(self._states, self._populations.simulator.global_states)

    def step(self, actions: IntArray, streams: Streams) -> Payment:
        """See `Side`; the local reward is the mean over all n."""
        simulator, n = self._populations.simulator, self._populations.view.n_agents
        counts = simulator.counts.copy()
        counts[np.arange(len(counts)), self._states] += 1
        old = simulator.global_states
        a_g = self._global_policy.act(old, self._populations.sample(counts), streams.policy)
        payment = simulator.step(a_g, self._local_policy.table)
        draws = Draws(streams.policy, streams.rewards)
        own, self._states = simulator.dynamics.step_local(draws, self._states, old, actions, seen=old)
        self.own_rewards = own
        return Payment(payment.global_reward, (payment.local_reward_mean * (n - 1) + own) / n)


class Fleets:
    """All agents of each population; the learner sees s_g and picks an action for every local state."""

    others: str | None = "follow the learner"
    own_rewards = NOBODYS

    def __init__(self, view: View, n_envs: int, global_policy: GlobalPolicy, obs_mode: ObsMode) -> None:
        game = view.game
        self._populations = _Populations(view, view.n_agents, n_envs)
        self._global_policy = global_policy
        self._one_hot = one_of("obs_mode", obs_mode, OBS_MODES) == "box"
        n_global = game.n_global_states
        self.observation_space: Space = Box(0.0, 1.0, (n_global,), np.float32) if self._one_hot else Discrete(n_global)
        self.action_space: Space = MultiDiscrete(np.full(game.n_local_states, game.n_local_actions))

    def restart(self, streams: Streams, chosen: IntArray) -> None:
        """See `Side`."""
        self._populations.restart(streams, chosen)

    def observe(self, streams: Streams) -> Observation:  # noqa: ARG002  # nothing is drawn
        """See `Side`: the global states."""
        states = self._populations.simulator.global_states
        return one_hot(states, self._populations.view.game.n_global_states) if self._one_hot else states.copy()

    def step(self, actions: IntArray, streams: Streams) -> Payment:
        """See `Side`: every agent in state x of population b takes `actions[b, x]`."""
        simulator = self._populations.simulator
        seen = self._populations.sample(simulator.counts)
        a_g = self._global_policy.act(simulator.global_states, seen, streams.policy)
        return simulator.step_choices(a_g, np.eye(simulator.game.n_local_actions)[actions])


def checked_mask(options: dict[str, Any] | None, n_envs: int) -> BoolArray:
    """Who is reset: `options["reset_mask"]`, bool [B]; all where there is none.

    Raises:
        TypeError: no bools.
        ValueError: another shape, or nobody.
    """
    mask = np.asarray(options["reset_mask"]) if options and "reset_mask" in options else np.ones(n_envs, dtype=np.bool_)
    if mask.dtype != np.bool_:
        raise TypeError(f"reset_mask must be bool; got dtype {mask.dtype}")
    if mask.shape != (n_envs,) or not mask.any():
        raise ValueError(f"reset_mask must choose among {n_envs} populations; got {mask.tolist()}")
    return mask


def checked_actions(space: Space, n_envs: int, actions: Any) -> IntArray:
    """Actions of B populations, int64 [B] or [B, ..].

    Raises:
        TypeError: no integers.
        ValueError: another shape, or an action out of range.
    """
    limits = np.asarray(space.n if isinstance(space, Discrete) else space.nvec)  # type: ignore[attr-defined]  # MultiDiscrete
    given = np.asarray(actions)
    if given.dtype.kind not in "iu":
        raise TypeError(f"actions must be integers; got dtype {given.dtype}")
    if given.shape != (n_envs, *limits.shape):
        raise ValueError(f"actions must have shape {[n_envs, *limits.shape]}; got {list(given.shape)}")
    outside = (given < 0) | (given >= limits)
    if outside.any():
        index = first_index(outside)
        most = int(np.broadcast_to(limits, given.shape)[index]) - 1
        raise ValueError(f"actions must be between 0 and {most}; entry {list(index)} is {given[index]}")
    return given.astype(np.int64)

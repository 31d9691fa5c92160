"""One rollout of a pair of policies, recorded step by step for figures."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kofn.envs.arrays import BoolArray, IntArray
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import sample_without_replacement
from kofn.envs.simulator import LumpedSimulator
from kofn.envs.streams import Seed, Streams


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """What happened at steps 0 .. H-1.

    Attributes:
        global_states: s_g, int64 [H].
        global_actions: a_g, int64 [H].
        counts: agents per local state, int64 [H, s_l].
    """

    global_states: IntArray
    global_actions: IntArray
    counts: IntArray

    @property
    def modes(self) -> IntArray:
        """The most crowded local state (lowest on ties), int64 [H]."""
        return np.asarray(self.counts.argmax(axis=1))

    def at_mode(self) -> BoolArray:
        """Where the global state is the most crowded local state (for games in which it is a place), bool [H]."""
        return np.asarray(self.global_states == self.modes)


def record_rollout(
    game: Game,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    n_agents: int,
    *,
    horizon: int,
    seed: Seed,
) -> Trajectory:
    """Play one episode of `horizon` steps and record it."""
    steps = list(_steps(global_policy, local_policy, LumpedSimulator(game, n_agents), horizon, seed))
    states, actions, counts = zip(*steps, strict=True)
    return Trajectory(
        global_states=np.concatenate(states),
        global_actions=np.concatenate(actions),
        counts=np.concatenate(counts),
    )


def _steps(
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    simulator: LumpedSimulator,
    horizon: int,
    seed: Seed,
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Global states [B], global actions [B] and counts [B, s_l] of every step of B rollouts."""
    streams = Streams.from_seed(seed)
    simulator.reset(streams)
    for _ in range(horizon):
        seen = sample_without_replacement(streams.sampling, simulator.counts, global_policy.k)
        action = global_policy.act(simulator.global_states, seen, streams.policy)
        yield simulator.global_states, action, simulator.counts
        simulator.step(action, local_policy.table)


def mode_accuracy(
    game: Game,
    global_policy: GlobalPolicy,
    local_policy: LocalPolicy,
    n_agents: int,
    *,
    horizon: int,
    n_rollouts: int,
    seed: Seed,
) -> float:
    """Share of all steps at which the global agent stands in the most crowded local state (compare Figure 7).

    Raises:
        ValueError: the game's global states are not its local states.
    """
    if not global_state_is_place(game):
        raise ValueError("the accuracy is that of a place; the game's global states must be its local states, by name")
    simulator = LumpedSimulator(game, n_agents, n_populations=n_rollouts)
    steps = _steps(global_policy, local_policy, simulator, horizon, seed)
    return float(np.mean([(states == counts.argmax(axis=1)).mean() for states, _, counts in steps]))


def global_state_is_place(game: Game) -> bool:
    """Whether global states are the local states, by name: the global agent stands where local agents stand."""
    return game.labels.global_states == game.labels.local_states


def trajectory_csv(trajectory: Trajectory, game: Game) -> str:
    """The trajectory as CSV text, one line per step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "global_state", "global_action", "mode", *game.labels.local_states])
    columns = (trajectory.global_states, trajectory.global_actions, trajectory.modes)
    for step, row in enumerate(np.column_stack([*columns, trajectory.counts]).tolist()):
        writer.writerow([step, *row])
    return text.getvalue()

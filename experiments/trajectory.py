"""One rollout of a pair of policies, recorded step by step for figures."""

import csv
import io
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
    streams = Streams.from_seed(seed)
    simulator = LumpedSimulator(game, n_agents)
    simulator.reset(streams)
    states, actions, counts = [], [], []
    for _ in range(horizon):
        seen = sample_without_replacement(streams.sampling, simulator.counts, global_policy.k)
        action = global_policy.act(simulator.global_states, seen, streams.policy)
        states.append(simulator.global_states)
        actions.append(action)
        counts.append(simulator.counts)
        simulator.step(action, local_policy.table)
    return Trajectory(
        global_states=np.concatenate(states),
        global_actions=np.concatenate(actions),
        counts=np.concatenate(counts),
    )


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

r"""A Markov decision process with finitely many states and actions, as arrays.

Every (state, action) lists its possible next states; rows with fewer of them than the widest are padded with
probability 0. This is the common language of the chained MDPs of L-LEARN and of the solvers for finite horizons.

`with_deciding_states` makes rewards a function of the state alone (paper, Algorithm 17): each x becomes a decision
node, where an action is chosen for no reward, and A nodes (x, a), which pay r(x, a) and move as x does under a; what is
played there has no effect. |S| grows to |S|(1+A), the horizon doubles, the reward clock is floor(tau/2): values stay.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from kofn.envs.arrays import (
    FloatArray,
    IntArray,
    as_array,
    first_index,
    float_array,
    freeze,
    probability_array,
    restore_frozen,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class FiniteMDP:
    """States, actions, transitions and mean rewards. Arrays are validated, copied and read-only.

    Args:
        successors: possible next states, int [state, action, j].
        probabilities: their probabilities, float [state, action, j], rows sum to 1; 0 where a row is padded.
        rewards: mean reward, float [state, action].
        start: law of the first state, float [state].

    Raises:
        TypeError, ValueError: wrong shape, a successor that is no state, a row that does not sum to 1.
    """

    successors: IntArray
    probabilities: FloatArray
    rewards: FloatArray
    start: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Validate and freeze."""
        probabilities = probability_array("probabilities", self.probabilities, (None, None, None))
        n_states, n_actions, _ = probabilities.shape
        self._set_frozen("probabilities", probabilities)
        self._set_frozen("successors", _successor_array(self.successors, probabilities.shape))
        self._set_frozen("rewards", float_array("rewards", self.rewards, (n_states, n_actions)))
        self._set_frozen("start", probability_array("start", self.start, (n_states,)))

    def _set_frozen(self, name: str, array: FloatArray | IntArray) -> None:
        freeze(array)
        object.__setattr__(self, name, array)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.rewards)

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return int(self.rewards.shape[1])

    @property
    def n_successors(self) -> int:
        """Length of the longest list of possible next states."""
        return int(self.successors.shape[2])

    def dense(self) -> FloatArray:
        """Transition probabilities, float [state, action, next state]."""
        dense = np.zeros((self.n_states, self.n_actions, self.n_states))
        state, action = np.arange(self.n_states)[:, None, None], np.arange(self.n_actions)[:, None]
        np.add.at(dense, (state, action, self.successors), self.probabilities)
        return dense

    def expect(self, values: FloatArray) -> FloatArray:
        """E[values(next state)], float [state, action], from values [state]."""
        return np.asarray(np.einsum("saj,saj->sa", self.probabilities, values[self.successors]))

    def under(self, policy: FloatArray) -> tuple[sparse.csr_array, FloatArray]:
        """(transition [state, next state], mean reward [state]) when actions follow `policy` [state, action]."""
        weights = (policy[:, :, None] * self.probabilities).ravel()
        used = np.flatnonzero(weights)
        rows = used // (self.n_actions * self.n_successors)
        entries = (weights[used], (rows, self.successors.ravel()[used]))
        transition = sparse.coo_array(entries, shape=(self.n_states, self.n_states)).tocsr()
        return transition, np.asarray((policy * self.rewards).sum(axis=1))

    @classmethod
    def from_dense(cls, transition: FloatArray, rewards: FloatArray, start: FloatArray) -> "FiniteMDP":
        """From dense transition probabilities [state, action, next state]; only the support is kept."""
        transition = probability_array("transition", transition, (None, None, None))
        width = max(1, int((transition > 0).sum(axis=2).max()))
        # A stable sort puts the support of every row first, in ascending order of the states.
        successors = np.argsort(transition <= 0, axis=2, kind="stable")[:, :, :width]
        probabilities = np.take_along_axis(transition, successors, axis=2)
        return cls(successors=successors, probabilities=probabilities, rewards=rewards, start=start)


def with_deciding_states(mdp: FiniteMDP) -> FiniteMDP:
    """The same process with decision nodes: state x keeps its number, node (x, a) is |S| + x A + a."""
    n_states, n_actions, width = mdp.successors.shape
    nodes = n_states + np.arange(n_states * n_actions)
    deciding = np.zeros((n_states, n_actions, width), dtype=np.int64)
    deciding[:, :, 0] = nodes.reshape(n_states, n_actions)
    surely = np.zeros(deciding.shape)
    surely[:, :, 0] = 1
    # At a node (x, a) every action has the effect of a.
    acting = (n_states * n_actions, n_actions, width)
    successors = np.broadcast_to(mdp.successors.reshape(-1, 1, width), acting)
    probabilities = np.broadcast_to(mdp.probabilities.reshape(-1, 1, width), acting)
    rewards = np.repeat(mdp.rewards.reshape(-1, 1), n_actions, axis=1)
    return FiniteMDP(
        successors=np.concatenate([deciding, successors]),
        probabilities=np.concatenate([surely, probabilities]),
        rewards=np.concatenate([np.zeros((n_states, n_actions)), rewards]),
        start=np.concatenate([mdp.start, np.zeros(len(nodes))]),
    )


def _successor_array(successors: IntArray, shape: tuple[int, ...]) -> IntArray:
    """Copy, after checking shape and range."""
    array = np.array(as_array("successors", successors))
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"successors must be integers; got dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"successors must have the shape of probabilities, {list(shape)}; got {list(array.shape)}")
    outside = (array < 0) | (array >= shape[0])
    if outside.any():
        index = first_index(outside)
        raise ValueError(f"successors must lie in 0..{shape[0] - 1}; entry {list(index)} is {array[index]}")
    return array.astype(np.int64)

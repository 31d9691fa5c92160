"""The game of federated averaging and its simulator; `kofn.envs.federated_averaging` specifies them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import FloatArray, IntArray, integer, mean_over, positive, probability, whole_below
from kofn.envs.averaging_round import Shards, accuracy_on, averaging_round, loss_on, shard_losses
from kofn.envs.federated_data import FederatedData, deal
from kofn.envs.finite import FinitePopulation
from kofn.envs.model import Labels, checked_discount
from kofn.envs.observations import OBS_MODES, ObsMode
from kofn.envs.simulator import Payment
from kofn.envs.start_law import DirichletStart
from kofn.envs.streams import Streams

SHARD_SIZE = 20
STEP_SIZES = (0.02, 0.1, 0.5)
PROXIMAL_WEIGHTS = (0.0, 0.1, 1.0)
PAUSE = 0
SETTINGS = (None, *((eta, mu) for eta in STEP_SIZES for mu in PROXIMAL_WEIGHTS))
"""Step size and proximal weight of every state of the server; none in a pause."""

LOCAL_STEPS = np.array([0, 1, 5])
WORK_COST = np.array([0.0, 0.02, 0.08])
COMMUNICATION_COST = 0.05
BIN_EDGES = np.array([0.05, 0.2, 0.5, 1.0])  # in units of ln C


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragingGame:
    """Federated averaging on a data set.

    Args:
        data: the samples.
        alpha: concentration of the clients' class laws.
        n_participants: clients asked per round, all if there are fewer.
        drift: probability with which a new offset is drawn after a round.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: a number of the wrong type or out of range.
    """

    data: FederatedData
    alpha: float = 0.3
    n_participants: int = 20
    drift: float = 0.1
    discount: float = 0.95

    n_global_states = len(SETTINGS)
    n_global_actions = n_global_states
    n_local_states = len(BIN_EDGES) + 1
    n_local_actions = len(LOCAL_STEPS)

    def __post_init__(self) -> None:
        """Validate."""
        if not isinstance(self.data, FederatedData):
            raise TypeError(f"data must be FederatedData, as load_data('digits') gives; got {self.data!r}")
        object.__setattr__(self, "alpha", positive("alpha", self.alpha))
        DirichletStart.symmetric(self.alpha, self.data.n_classes)  # refuses what overflows
        object.__setattr__(self, "n_participants", integer("n_participants", self.n_participants, 1))
        object.__setattr__(self, "drift", probability("drift", self.drift))
        object.__setattr__(self, "discount", checked_discount(self.discount))

    @property
    def obs_modes(self) -> tuple[ObsMode, ...]:
        """All of them."""
        return OBS_MODES

    @property
    def labels(self) -> Labels:
        """Names for rendering."""
        settings = tuple("pause" if pair is None else f"step {pair[0]}, proximal {pair[1]}" for pair in SETTINGS)
        return Labels(
            title="federated averaging",
            global_states=settings,
            local_states=("tiny loss", "small loss", "half of guessing", "near guessing", "worse than guessing"),
            global_actions=settings,
            local_actions=("skip", "1 step", "5 steps"),
        )

    def population(self, n_agents: int, obs_mode: ObsMode = "box") -> FinitePopulation:
        """One population of n agents."""
        simulator = AveragingSimulator(self, n_agents)
        return FinitePopulation(
            sizes=self, labels=self.labels, simulator=simulator, obs_mode=obs_mode, structured=False
        )


class AveragingSimulator:
    """One population of clients and the server's model, which is hidden.

    Args:
        game: the game.
        n_agents: n, number of clients, at least 1.

    Attributes:
        global_states: setting in force, int64 [1].
        local_states: loss bins of the clients, int64 [1, n_agents].
        model: theta, float [feature, class].
    """

    local_timing = "paper"
    global_states: IntArray
    local_states: IntArray
    model: FloatArray
    _loss: float

    def __init__(self, game: AveragingGame, n_agents: int) -> None:
        self.game = game
        self.n_agents = integer("n_agents", n_agents, 1)

    def reset(self, streams: Streams) -> None:
        """Deal new samples; all later randomness comes from `streams`."""
        data = self.game.data
        self._streams = streams
        self.global_states = streams.start.integers(self.game.n_global_states, size=1)
        self._dealt = deal(data, self.n_agents, streams.start, alpha=self.game.alpha, n_samples=SHARD_SIZE)
        self.model = np.zeros((data.n_features, data.n_classes))
        self._participants = np.empty(0, dtype=np.int64)
        self._n_transfers, self._decrease = 0, 0.0
        self._global_reward, self._work_costs = 0.0, np.zeros(self.n_agents)
        self._measure_with(np.zeros(data.n_features))
        self._look()

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Play a round and pay for it; int64 [1] and [1, n_agents], anything else is refused."""
        global_actions = whole_below("global_actions", global_actions, (1,), self.game.n_global_actions)
        local_actions = whole_below("local_actions", local_actions, (1, self.n_agents), self.game.n_local_actions)
        before = self._loss
        n_steps = self._play(SETTINGS[self.global_states[0]], local_actions[0])
        self._loss = loss_on(self.model, self._validation)
        self._decrease += before - self._loss
        worked = n_steps > 0
        self._n_transfers += 2 * int(worked.sum())
        self._global_reward = before - self._loss - COMMUNICATION_COST * _mean(worked)
        paused = self.global_states[0] == PAUSE
        self._work_costs = np.zeros(self.n_agents) if paused else WORK_COST[local_actions[0]]
        local = -_mean(self._work_costs[self._participants])
        self.global_states = global_actions.copy()
        if self._streams.global_moves.random() < self.game.drift:
            offset = self._streams.global_moves.standard_normal(self.game.data.n_features)
            self._measure_with(np.append(offset[:-1], 0.0))
        self._look()
        return Payment(np.array([self._global_reward]), np.array([local]))

    def _play(self, setting: tuple[float, float] | None, actions: IntArray) -> IntArray:
        """A round of learning, or a pause; the participants' numbers of steps."""
        rng = self._streams.local_moves
        wanted = 0 if setting is None else min(self.game.n_participants, self.n_agents)
        self._participants = rng.choice(self.n_agents, size=wanted, replace=False)
        n_steps = LOCAL_STEPS[actions[self._participants]]
        if setting is not None:
            self.model = averaging_round(
                self.model,
                self._shards,
                self._participants,
                n_steps,
                rng,
                step_size=setting[0],
                proximal_weight=setting[1],
            )
        return n_steps

    def _measure_with(self, offset: FloatArray) -> None:
        """What all samples look like under an offset [feature]."""
        data = self.game.data
        seen = data.features + offset
        self._shards = Shards(seen[self._dealt], data.labels[self._dealt])
        self._validation = seen[data.validation], data.labels[data.validation]
        self._test = seen[data.test], data.labels[data.test]

    def _look(self) -> None:
        """The model's loss, on the validation samples and in bins on every client's."""
        self._loss = loss_on(self.model, self._validation)
        self.local_states = loss_bins(shard_losses(self.model, self._shards), self.game.data.n_classes)[None]

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """The last step's reward had the clients `sampled` [k] been charged for work, float [1]."""
        return np.array([self._global_reward - mean_over(self._work_costs, sampled)])

    def info(self) -> dict[str, Any]:
        """The model's quality, and what was communicated since the start."""
        communicated = self._n_transfers * self.model.nbytes
        info = {
            "validation_loss": self._loss,
            "test_accuracy": accuracy_on(self.model, self._test),
            "participants": self._participants.copy(),
            "communicated_bytes": communicated,
        }
        if communicated > 0:
            info["loss_decrease_per_megabyte"] = self._decrease / (communicated / 1e6)
        return info


def loss_bins(losses: FloatArray, n_classes: int) -> IntArray:
    """Bins of losses, int64 of their shape. A loss on an edge, up to rounding, belongs below: guessing is 3."""
    return np.asarray(np.searchsorted(BIN_EDGES * np.log(n_classes) * (1 + 1e-9), losses))


def _mean(values: npt.NDArray[Any]) -> float:
    """The mean; 0 of nothing."""
    return float(values.mean()) if len(values) > 0 else 0.0

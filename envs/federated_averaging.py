r"""Federated averaging: a server steers FedAvg and FedProx on real data while it hears only some of its clients.

## Description
Each of n clients holds 20 training samples with skewed classes. In each round 20 clients drawn at random are asked to
improve the server's softmax regression model on their samples, by as many steps as they choose, and the server averages
their models. The server sets the step size and the proximal weight of the next round. All are paid for the decrease of
the validation loss, less the costs of communication and of work.

The decrease depends on all clients together: the reward is NOT of the form r_g + mean of r_l on which the papers'
learners rest, and `metadata["structured"]` is False. What the model has become is hidden from everyone.

## Spaces
| | states | actions |
|---|---|---|
| server (`global_0`) | 3 i + j: step size i, proximal weight j in force, 9 | those of the next round, 9 |
| client (`local_i`) | bin of the loss of the server's model on its samples, 5 | 0 skip, 1 one step, 2 five steps |

With step sizes (0.02, 0.1, 0.5)[i] and proximal weights (0, 0.1, 1)[j]; the edges of the bins are (0.05, 0.2, 0.5, 1)
ln C, with ln C the loss of guessing among C classes. A client sees [own bin, server's state]; the server sees [own
state, histogram of bins], of all n clients or, under `SubsampleObservation`, of k clients drawn afresh each step.

## Dynamics
The setting changes as asked, s_g' = a_g. A round is played under the OLD setting (eta, mu): `n_participants` clients are
drawn uniformly, the others' actions are void. A participant makes m = (0, 1, 5)[a_l] proximal steps on minibatches of
10 of its samples, starting from the server's model theta and anchored there; theta becomes the mean of the models of
those who made any (`kofn.envs.averaging_round`).

## Rewards
With f the loss on the validation samples (20% of the data), W the share of the participants that worked, and the means
over participants:

    r = f(theta) - f(theta') - 0.005 W - mean of (0, 0.002, 0.01)[a_l]

It can be negative, and is not shifted, as no theorem applies. `infos["global_0"]` tells `validation_loss`,
`test_accuracy` (20% of the data, that nothing else depends on), the `participants` of the last round, and of the episode
so far `communicated_bytes` (a model down and a model up per worker) and the decrease of the validation loss per megabyte
of it, `loss_decrease_per_megabyte` (absent before the first byte). Under `SubsampleObservation`, `reward_sampled` is the
reward had the clients seen been charged for work in place of the participants.

## Starting State
theta = 0, a model that guesses; the setting is uniform. Per episode every client draws a law over the classes from
Dirichlet(alpha, .., alpha) and its samples from it (`kofn.envs.federated_data.deal`).

## Episode End
Truncation after `max_cycles` steps (default 30). Nothing terminates.

## Arguments
`data="digits"` or `"breast_cancer"`, `alpha=0.3`, `n_participants=20` (all clients if there are fewer),
`discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=30`, `obs_mode="box"`, `render_mode=None`,
`global_view="all"`. `pettingzoo.make` also takes `k` (20 by default where a learner needs one) and `summary`. Data come
with scikit-learn: `pip install 'kofn[federated]'`.

## Value of information
@VALUE@

## References
McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", 2017 (FedAvg); Li et al.,
"Federated Optimization in Heterogeneous Networks", 2020 (FedProx). All numbers are our choice.

## Version History
* v0: first release.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pettingzoo import AECEnv

from kofn.envs.arrays import FloatArray, IntArray, integer, positive
from kofn.envs.averaging_round import Shards, accuracy_on, averaging_round, loss_on, shard_losses
from kofn.envs.federated_data import FederatedData, deal, load_data
from kofn.envs.finite import FinitePopulation
from kofn.envs.model import Labels, checked_discount
from kofn.envs.observations import OBS_MODES, Observation, ObsMode
from kofn.envs.parallel import PopulationEnv, to_aec
from kofn.envs.registration import Defaults
from kofn.envs.simulator import Payment
from kofn.envs.streams import Streams

DEFAULTS = Defaults(n_agents=1000, max_cycles=30, k=20)

SHARD_SIZE = 20
STEP_SIZES = (0.02, 0.1, 0.5)
PROXIMAL_WEIGHTS = (0.0, 0.1, 1.0)
LOCAL_STEPS = np.array([0, 1, 5])
WORK_COST = np.array([0.0, 0.002, 0.01])
COMMUNICATION_COST = 0.005
BIN_EDGES = np.array([0.05, 0.2, 0.5, 1.0])  # in units of ln C


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragingGame:
    """Federated averaging on a data set.

    Args:
        data: the samples.
        alpha: concentration of the clients' class laws.
        n_participants: clients asked per round, all if there are fewer.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: a number of the wrong type or out of range.
    """

    data: FederatedData
    alpha: float = 0.3
    n_participants: int = 20
    discount: float = 0.95

    n_global_states = len(STEP_SIZES) * len(PROXIMAL_WEIGHTS)
    n_global_actions = n_global_states
    n_local_states = len(BIN_EDGES) + 1
    n_local_actions = len(LOCAL_STEPS)

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "alpha", positive("alpha", self.alpha))
        object.__setattr__(self, "n_participants", integer("n_participants", self.n_participants, 1))
        object.__setattr__(self, "discount", checked_discount(self.discount))

    @property
    def obs_modes(self) -> tuple[ObsMode, ...]:
        """All of them."""
        return OBS_MODES

    @property
    def labels(self) -> Labels:
        """Names for rendering."""
        settings = tuple(f"step {eta}, proximal {mu}" for eta in STEP_SIZES for mu in PROXIMAL_WEIGHTS)
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

    def __init__(self, game: AveragingGame, n_agents: int) -> None:
        self.game = game
        self.n_agents = integer("n_agents", n_agents, 1)

    def reset(self, streams: Streams) -> None:
        """Deal new samples; all later randomness comes from `streams`."""
        data = self.game.data
        self._streams = streams
        self.global_states = streams.start.integers(self.game.n_global_states, size=1)
        samples = deal(data, self.n_agents, streams.start, alpha=self.game.alpha, n_samples=SHARD_SIZE)
        self._shards = Shards.of(data, samples)
        self._participants = np.empty(0, dtype=np.int64)
        self._n_transfers = 0
        self._take(np.zeros((data.n_features, data.n_classes)))
        self._first_loss = self._loss

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Play a round and pay for it; int64 [1] and [1, n_agents]."""
        rng, before, actions = self._streams.local_moves, self._loss, local_actions[0]
        wanted = min(self.game.n_participants, self.n_agents)
        self._participants = rng.choice(self.n_agents, size=wanted, replace=False)
        n_steps = LOCAL_STEPS[actions[self._participants]]
        i, j = divmod(int(self.global_states[0]), len(PROXIMAL_WEIGHTS))
        learning = {"step_size": STEP_SIZES[i], "proximal_weight": PROXIMAL_WEIGHTS[j]}
        self._take(averaging_round(self.model, self._shards, self._participants, n_steps, rng, **learning))
        self._n_transfers += 2 * int((n_steps > 0).sum())
        self.global_states = global_actions.copy()
        self._work_costs = WORK_COST[actions]
        self._global_reward = np.array([before - self._loss - COMMUNICATION_COST * (n_steps > 0).mean()])
        return Payment(self._global_reward, -self._work_costs[self._participants].mean(keepdims=True))

    def _take(self, model: FloatArray) -> None:
        """Make `model` the server's, and see what it is worth to whom."""
        data = self.game.data
        self.model = model
        self._loss = loss_on(model, data, data.validation)
        edges = BIN_EDGES * np.log(data.n_classes)
        # A loss on an edge belongs to the bin below it: guessing, ln C up to rounding, is "near guessing".
        found = np.searchsorted(edges * (1 + 1e-9), shard_losses(model, self._shards))
        self.local_states = found[None]

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """The last step's reward had the clients `sampled` [k] been charged for work, float [1]."""
        return np.asarray(self._global_reward - self._work_costs[sampled].mean())

    def info(self) -> dict[str, Any]:
        """The model's quality, and what was communicated since the start."""
        communicated = self._n_transfers * self.model.nbytes
        info = {
            "validation_loss": self._loss,
            "test_accuracy": accuracy_on(self.model, self.game.data, self.game.data.test),
            "participants": self._participants.copy(),
            "communicated_bytes": communicated,
        }
        if communicated > 0:
            info["loss_decrease_per_megabyte"] = (self._first_loss - self._loss) / (communicated / 1e6)
        return info


def game(data: str = "digits", alpha: float = 0.3, n_participants: int = 20, discount: float = 0.95) -> AveragingGame:
    """The game on a data set.

    Args:
        data: "digits" or "breast_cancer".
        alpha: concentration of the clients' class laws, positive.
        n_participants: clients asked per round, at least 1.
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: an unknown data set, or a number out of range.
        ImportError: scikit-learn is not installed.
    """
    return AveragingGame(data=load_data(data), alpha=alpha, n_participants=n_participants, discount=discount)


def parallel_env(
    data: str = "digits", alpha: float = 0.3, n_participants: int = 20, discount: float = 0.95, **options: Any
) -> PopulationEnv:
    """The parallel environment, without a limit on what the server sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(data, alpha, n_participants, discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))

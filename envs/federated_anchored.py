r"""Federated optimisation with real gradients: clients learn towards the checkpoint that the server broadcasts.

## Description
The federated optimisation game (`kofn.envs.federated_optimization`) on real data. Each of n clients belongs to one of 4
domains of a data set (groups of similar labels) and holds a softmax regression model. The server keeps one checkpoint
per domain, learnt by FedAvg, and each round broadcasts that of the domain it emphasises. All clients are pulled towards
it; local work pulls harder, and fits the model to the client's own domain. Clients of other domains get worse. The
server should emphasise the domain most in need, which it must guess from k clients.

## Spaces
| | states | actions |
|---|---|---|
| server (`global_0`) | 2 c + e: domain c emphasised, e = 1 large steps, 8 | 0 .. 3 emphasise it, 4 switch e |
| client (`local_i`) | own domain d and model w_i, seen as 9 d + 3 g + h, 36 | 0 skip, 1 one step, 2 five steps |

g and h are the bins (0, 1, 2) of |grad f_d(w_i)| and of |w_i - theta_c|, w_i's distance from the checkpoint. A client
sees [own observation, server's state]; the server sees [own state, histogram of the clients' observations], of all n
clients or, under `SubsampleObservation`, of k clients drawn afresh each step. Observations are not Markov: models are
hidden (`kofn.envs.federated_calibration` measures by how much). `state()` holds observations too.

## Dynamics
The server moves as in federated optimisation. Under the OLD (c, e), every client takes in a share of the broadcast and
then makes m = (0, 1, 5)[a_l] proximal steps on minibatches B of 10 training samples of its domain, drawn independently:

    w <- w + 0.2 (theta_c - w)        m times:  w <- w - (0.012, 0.03)[e] (grad f_B(w) + (w - theta_c))

## Rewards
    r_g = 0.02 - 0.02 [a_g asks for a change]      r_l = (ln C - min(f_d(w_i), ln C)) + 0.08 - (0, 0.03, 0.08)[a_l]

with f_d the loss on 50 fixed validation samples of domain d (16 for breast_cancer), and ln C the loss of guessing among
C classes: a model worse than that counts as guessing. Both rewards are at least 0; r~ = 0.02 + ln C + 0.08. The team
reward is r_g plus the clients' mean. `infos["global_0"]` tells of the current models `mean_loss` (not capped), of the
episode so far `communicated_bytes` (a checkpoint to every client at the start and whenever c changes) and the decrease
of the mean loss per megabyte of it, `loss_decrease_per_megabyte`.

## Starting State
(c, e) is uniform. Per episode p ~ Dirichlet(0.3, .., 0.3) over the 8 pairs of a domain and near or far; clients are
drawn independently from p. Near: w = theta_d. Far: w = 0, a model that guesses.

## Episode End
Truncation after `max_cycles` steps (default 100). Nothing terminates.

## Arguments
`data="digits"` or `"breast_cancer"`, `discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=100`,
`obs_mode="box"`, `render_mode=None`, `global_view="all"`. `pettingzoo.make` also takes `k` (8 by default where a
learner needs one) and `summary`. Data come with scikit-learn: `pip install 'kofn[federated]'`.

## Value of information
With clients that work five steps if emphasised and not in the lowest gradient bin, and skip otherwise, 60 of them on
digits earn, in discounted returns over 100 steps less the shifts, -17.4 with a server that moves on to the next domain
at every step, the best rate of moving on blindly of 0.4, 0.7 and 1. With one that goes where the gradient bins of the
clients it sees add up to most, they earn more: by 0.9 at k = 1 (standard error 0.25), 1.5 at 2 (0.5), 1.9 at 8 (0.4)
and 2.1 when it sees all (0.3). On breast_cancer, -3.65 and gains of 0.36, 0.51, 0.51 and 0.49 (0.08 each): there the
first client seen tells nearly all.

## References
"Learning Approximate Nash Equilibria in Cooperative Multi-Agent Reinforcement Learning via Mean-Field Subsampling"
(arXiv 2603.03759), Example 2.6; FedAvg and FedProx as in `kofn.envs.softmax_regression`. All numbers are our choice.

## Version History
* v0: first release.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pettingzoo import AECEnv

from kofn.envs import federated_optimization
from kofn.envs.aec import to_aec
from kofn.envs.anchored_clients import (
    N_BINS,
    AnchoredTask,
    Clients,
    Measures,
    advance,
    make_task,
    measure,
    observe,
    start,
)
from kofn.envs.arrays import FloatArray, IntArray, integer, mean_over, one_of, whole_below
from kofn.envs.federated_data import DATASETS, load_data
from kofn.envs.federated_optimization import WORK_COST
from kofn.envs.finite import FinitePopulation
from kofn.envs.game import TabularGame
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.model import Labels
from kofn.envs.observations import OBS_MODES, Observation, ObsMode
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults
from kofn.envs.simulator import Payment
from kofn.envs.streams import Streams

DEFAULTS = Defaults(n_agents=1000, max_cycles=100, k=8)

N_DOMAINS = 4
EDGES = {"digits": ((1.37, 2.00), (1.46, 1.97)), "breast_cancer": ((0.31, 0.60), (0.54, 0.88))}
"""Bin edges of gradient norms and of distances, from a pilot run (`federated_calibration.pilot_edges`)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class AnchoredGame:
    """The clients' task and the server's tables.

    Args:
        task: data, checkpoints and bins.
        server: the federated optimisation game, whose P_g, r_g and starts are played.
    """

    task: AnchoredTask
    server: TabularGame

    n_local_actions = len(WORK_COST)

    @property
    def discount(self) -> float:
        """Gamma."""
        return self.server.discount

    @property
    def n_global_states(self) -> int:
        """|S_g|."""
        return self.server.n_global_states

    @property
    def n_local_states(self) -> int:
        """Number of observations of a client."""
        return self.task.n_observations

    @property
    def n_global_actions(self) -> int:
        """|A_g|."""
        return self.server.n_global_actions

    @property
    def reward_bound(self) -> float:
        """r~ = r~_g + r~_l, the largest reward of one step."""
        return float(self.server.global_reward.max() + self.task.chance_loss + WORK_COST.max())

    @property
    def value_bound(self) -> float:
        """r~ / (1 - gamma)."""
        return self.reward_bound / (1 - self.discount)

    @property
    def obs_modes(self) -> tuple[ObsMode, ...]:
        """All of them."""
        return OBS_MODES

    @cached_property
    def labels(self) -> Labels:
        """Names for rendering."""
        bins = [(d, g, h) for d in range(self.task.n_domains) for g in range(N_BINS) for h in range(N_BINS)]
        return Labels(
            title="federated anchored",
            global_states=self.server.labels.global_states,
            local_states=tuple(f"domain {d}, gradient {g}, distance {h}" for d, g, h in bins),
            global_actions=self.server.labels.global_actions,
            local_actions=self.server.labels.local_actions,
        )

    def rewards(self, measures: Measures, actions: IntArray) -> FloatArray:
        """r_l of every client, float [client]."""
        chance = self.task.chance_loss
        return np.asarray(chance - np.minimum(measures.losses, chance) + WORK_COST.max() - WORK_COST[actions])

    def population(self, n_agents: int, obs_mode: ObsMode = "box") -> FinitePopulation:
        """One population of n agents."""
        simulator = AnchoredSimulator(self, n_agents)
        return FinitePopulation(sizes=self, labels=self.labels, simulator=simulator, obs_mode=obs_mode)


class AnchoredSimulator:
    """One population of clients, their models hidden behind observations.

    Args:
        game: the game.
        n_agents: n, number of clients, at least 1.

    Attributes:
        global_states: s_g, int64 [1].
        local_states: observations of the clients, int64 [1, n_agents].
        clients: the clients' own states.
    """

    local_timing = "paper"
    global_states: IntArray
    local_states: IntArray
    clients: Clients

    def __init__(self, game: AnchoredGame, n_agents: int) -> None:
        self.game = game
        self.n_agents = integer("n_agents", n_agents, 1)

    def reset(self, streams: Streams) -> None:
        """Draw new starts; all later randomness comes from `streams`."""
        server = self.game.server
        self._streams = streams
        self.global_states = sample_rows(streams.start.random(1), cumulative_thresholds(server.initial_global))
        law = cumulative_thresholds(server.initial_local.draw(streams.start, 1)[0])
        self.clients = start(self.game.task, sample_rows(streams.start.random(self.n_agents), law))
        self._look()
        self._global_reward, self._local_rewards = np.zeros(1), np.zeros(self.n_agents)
        self._first_loss = float(self._measures.losses.mean())
        self._broadcasts = 1

    def step(self, global_actions: IntArray, local_actions: IntArray) -> Payment:
        """Pay and move once; int64 [1] and [1, n_agents], anything else is refused."""
        game, server, old = self.game, self.game.server, int(self.global_states[0])
        action = int(whole_below("global_actions", global_actions, (1,), game.n_global_actions)[0])
        local_actions = whole_below("local_actions", local_actions, (1, self.n_agents), game.n_local_actions)
        self._local_rewards = game.rewards(self._measures, local_actions[0])
        self._global_reward = server.global_reward[[old], [action]]
        payment = Payment(self._global_reward.copy(), self._local_rewards.mean(keepdims=True))
        self.clients = advance(game.task, self._streams.local_moves, self.clients, old, local_actions[0])
        law = cumulative_thresholds(server.global_transition[old, action])
        self.global_states = sample_rows(self._streams.global_moves.random(1), law)
        self._broadcasts += int(self.global_states[0] // 2 != old // 2)
        self._look()
        return payment

    def sampled_reward(self, sampled: IntArray) -> FloatArray:
        """r_D of the last step, float [1], for the agents `sampled` [k]."""
        return self._global_reward + mean_over(self._local_rewards, sampled)

    def info(self) -> dict[str, Any]:
        """The mean loss now, and what was communicated since the start."""
        loss = float(self._measures.losses.mean())
        communicated = self._broadcasts * self.n_agents * self.game.task.checkpoints[0].nbytes
        return {
            "mean_loss": loss,
            "communicated_bytes": communicated,
            "loss_decrease_per_megabyte": (self._first_loss - loss) / (communicated / 1e6),
        }

    def _look(self) -> None:
        """Measure the clients and bin what is observed of them."""
        self._measures = measure(self.game.task, self.clients, int(self.global_states[0]))
        self.local_states = observe(self.game.task, self.clients, self._measures)[None]


def game(data: str = "digits", discount: float = 0.95) -> AnchoredGame:
    """The game on a data set.

    Args:
        data: "digits" or "breast_cancer".
        discount: gamma in (0, 1).

    Raises:
        TypeError, ValueError: an unknown data set, or a discount outside (0, 1).
        ImportError: scikit-learn is not installed.
    """
    server = federated_optimization.game(N_DOMAINS, discount)
    edges = EDGES[one_of("data", data, DATASETS)]
    task = make_task(load_data(data, n_domains=N_DOMAINS), *(np.array(pair) for pair in edges))
    return AnchoredGame(task=task, server=server)


def parallel_env(data: str = "digits", discount: float = 0.95, **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the server sees; `options` are PopulationEnv's."""
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(data, discount), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))

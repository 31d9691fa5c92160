r"""Federated averaging: a server steers FedAvg and FedProx on real data while it hears only some of its clients.

## Description
Each of n clients holds 20 training samples with skewed classes. In each round 20 clients drawn at random are asked to
improve the server's softmax regression model on their samples, by as many steps as they choose, and the server averages
their models. The server sets the step size and the proximal weight of the next round, or lets it pause. Now and then
what the sensors measure shifts, everybody's model is off, and learning pays again. All are paid for the decrease of the
validation loss, less the costs of communication and of work.

The decrease depends on all clients together: the reward is NOT of the form r_g + mean of r_l on which the papers'
learners rest, and `metadata["structured"]` is False. What the model has become is hidden from everyone.

## Spaces
| | states | actions |
|---|---|---|
| server (`global_0`) | 0 pause, 1 + 3 i + j: step size i and proximal weight j in force, 10 | the next round's, 10 |
| client (`local_i`) | bin of the loss of the server's model on its samples, 5 | 0 skip, 1 one step, 2 five steps |

With step sizes (0.02, 0.1, 0.5)[i] and proximal weights (0, 0.1, 1)[j]; the edges of the bins are (0.05, 0.2, 0.5, 1)
ln C, with ln C the loss of guessing among C classes. A client sees [own bin, server's state]; the server sees [own
state, histogram of bins], of all n clients or, under `SubsampleObservation`, of k clients drawn afresh each step.

## Dynamics
The setting changes as asked, s_g' = a_g. A round is played under the OLD setting (eta, mu). Unless that is a pause,
`n_participants` clients are drawn uniformly; the others' actions are void. A participant makes m = (0, 1, 5)[a_l]
proximal steps on minibatches of 10 of its samples, starting from the server's model theta and anchored there; theta
becomes the mean of the models of those who made any (`kofn.envs.averaging_round`).

After a round, with probability `drift`, an offset is drawn afresh from the standard normal law for every feature, and
added to the (standardised) features of all samples from then on, for training, validation and testing alike.

## Rewards
With f the loss on the validation samples (20% of the data) before any new offset, W the share of the participants that
worked (0 in a pause), and means over participants:

    r = f(theta) - f(theta') - 0.05 W - mean of (0, 0.02, 0.08)[a_l]

It can be negative, and is not shifted, as no theorem applies. `infos["global_0"]` tells `validation_loss`,
`test_accuracy` (20% of the data, on which nothing else depends), the `participants` of the last round, and of the
episode so far `communicated_bytes` (a model down and a model up per worker) and the sum of the decreases of the
validation loss per megabyte of it, `loss_decrease_per_megabyte` (absent before the first byte). Under
`SubsampleObservation`, `reward_sampled` is the reward had the clients seen been charged in place of the participants.

## Starting State
theta = 0, a model that guesses; no offset; the setting is uniform. Per episode every client draws a law over the
classes from Dirichlet(alpha, .., alpha) and its samples from it (`kofn.envs.federated_data.deal`).

## Episode End
Truncation after `max_cycles` steps (default 30). Nothing terminates.

## Arguments
`data="digits"` or `"breast_cancer"`, `alpha=0.3`, `n_participants=20` (all clients if there are fewer), `drift=0.1`,
`discount=0.95`, and those of `PopulationEnv`: `n_agents=1000`, `max_cycles=30`, `obs_mode="box"`, `render_mode=None`,
`global_view="all"`. `pettingzoo.make` also takes `k` (20 by default where a learner needs one) and `summary`. Data come
with scikit-learn: `pip install 'kofn[federated]'`.

## Value of information
With 100 clients on digits that always make five steps and a server that either pauses or plays (0.5, 0.1), discounted
returns over 30 rounds are 0.18 if it never pauses, 0.91 (standard error 0.03) if it pauses at random, at the best rates
found, and 1.13 if it pauses while the one client it sees has a loss in the lower bins; the gain is 0.22 (0.03). Losses
rise and fall together: seeing more than four clients adds nothing to 1.15.

## References
McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", 2017 (FedAvg); Li et al.,
"Federated Optimization in Heterogeneous Networks", 2020 (FedProx). All numbers are our choice.

## Version History
* v0: first release.
"""

from typing import Any

from pettingzoo import AECEnv

from kofn.envs.aec import to_aec
from kofn.envs.averaging_game import AveragingGame
from kofn.envs.federated_data import load_data
from kofn.envs.observations import Observation
from kofn.envs.parallel import PopulationEnv
from kofn.envs.registration import Defaults

DEFAULTS = Defaults(n_agents=1000, max_cycles=30, k=20)


def game(data: str = "digits", **options: Any) -> AveragingGame:
    """The game on a data set.

    Args:
        data: "digits" or "breast_cancer".
        **options: `alpha`, `n_participants`, `drift` and `discount`, as in `AveragingGame`.

    Raises:
        TypeError, ValueError: an unknown data set, or a number out of range.
        ImportError: scikit-learn is not installed.
    """
    return AveragingGame(data=load_data(data), **options)


def parallel_env(data: str = "digits", **options: Any) -> PopulationEnv:
    """The parallel environment, without a limit on what the server sees; `options` are `game`'s and PopulationEnv's."""
    own = {name: options.pop(name) for name in ("alpha", "n_participants", "drift", "discount") if name in options}
    sizes = {"n_agents": DEFAULTS.n_agents, "max_cycles": DEFAULTS.max_cycles}
    return PopulationEnv(game(data, **own), **{**sizes, **options})


def env(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment; `options` are those of `parallel_env`."""
    return to_aec(parallel_env(**options))

r"""Where the gain of several starts over the paper's method comes from: dispatcher, fleet, choice of equilibrium.

Let (g, l) be the pair of the start "paper", (g', l') where observation-aware responses lead from it ("from_paper"), and
(g*, l*) the pair kept. On common random numbers

    dispatcher    [Phi(g', l) - Phi(g, l) + Phi(g', l') - Phi(g, l')] / 2
    fleet         [Phi(g, l') - Phi(g, l) + Phi(g', l') - Phi(g', l)] / 2
    equilibrium   Phi(g*, l*) - Phi(g', l')

Dispatcher and fleet are the two players' Shapley values of what better responses alone bring: the mean, over both
orders in which the players may change, of what a change adds. The three parts add up to Phi(g*, l*) - Phi(g, l).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from kofn.agents.alternation.multi_start import MultiStart
from kofn.agents.evaluation import standard_error
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import FloatArray
from kofn.envs.policies import GlobalPolicy, LocalPolicy

Returns = Callable[[GlobalPolicy, LocalPolicy], FloatArray]
"""Discounted returns of a pair, float [rollout], on the same random numbers for every pair."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GainSplit:
    """What `split_gain` found: by rollout, so that means and standard errors of paired differences can be taken.

    Attributes:
        paper: returns of the paper's pair, float [rollout].
        dispatcher, fleet, equilibrium: the parts, float [rollout].
        total: returns of the pair kept less those of the paper's, their sum.
    """

    paper: FloatArray
    dispatcher: FloatArray
    fleet: FloatArray
    equilibrium: FloatArray
    total: FloatArray

    def rows(self) -> list[tuple[str, float, float]]:
        """(name, mean, standard error) of every attribute."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return [(name, float(np.mean(array)), standard_error(array)) for name, array in arrays.items()]


@checked_types
def split_gain(model: MultiStart, returns: Returns) -> GainSplit:
    """Take the gain of a trained model apart.

    Raises:
        TypeError: no MultiStart, or no function.
        ValueError: it has not learned.
    """
    if not {"paper", "from_paper"} <= set(model.models):
        raise ValueError(f"model must have learned; of its starts only {', '.join(model.models)} was begun")
    paper, onward = model.models["paper"], model.models["from_paper"]
    pairs = [(a.global_policy, b.local_policy) for a in (paper, onward) for b in (paper, onward)]
    neither, fleet_only, dispatcher_only, both = (returns(*pair) for pair in pairs)
    kept = returns(model.global_policy, model.local_policy)
    return GainSplit(
        paper=neither,
        dispatcher=(dispatcher_only - neither + both - fleet_only) / 2,
        fleet=(fleet_only - neither + both - dispatcher_only) / 2,
        equilibrium=kept - both,
        total=kept - neither,
    )

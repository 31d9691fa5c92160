"""RiverSwim as a FiniteMDP of ten steps, and the value of a policy in it, for the tests of UCFH."""

from typing import Any

import numpy as np
from oracle import riverswim

from kofn.agents.finite_horizon.backward_induction import evaluate_nonstationary
from kofn.agents.finite_horizon.ucfh import UcfhResult
from kofn.wrappers.finite_mdp import FiniteMDP

RIVER = FiniteMDP.from_dense(riverswim.transition(), riverswim.reward(), riverswim.start())
HORIZON = 10
OPTIMUM = riverswim.best_return(HORIZON)


def value(policy: Any, weights: Any = None, mdp: FiniteMDP = RIVER) -> float:
    return float(mdp.start @ evaluate_nonstationary(mdp, policy, weights)[0])


def same(first: UcfhResult, second: UcfhResult) -> bool:
    fields = ("optimistic_value", "pessimistic_value", "n_episodes", "n_plans", "n_samples")
    equal = all(getattr(first, name) == getattr(second, name) for name in fields)
    return equal and np.array_equal(first.policy, second.policy)

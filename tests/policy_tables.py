"""Random policies of small tables, for the tests of GlobalPolicy and LocalPolicy."""

import numpy as np

from kofn.envs import GlobalPolicy, LocalPolicy
from kofn.envs.histograms import n_histograms

SIZES = {"k": 2, "n_local_states": 3, "n_actions": 4}
N_COLUMNS = 6  # histograms of two agents over three states


def actions_policy(seed: int = 0, **sizes: int) -> GlobalPolicy:
    """Random actions at every (s_g, histogram), two global states."""
    n_columns = n_histograms(SIZES["k"], SIZES["n_local_states"])
    return GlobalPolicy(table=np.random.default_rng(seed).integers(0, 4, (2, n_columns)), **SIZES | sizes)


def chances_policy(seed: int = 0) -> GlobalPolicy:
    """Random distributions at every (s_g, histogram), two global states."""
    return GlobalPolicy(table=np.random.default_rng(seed).dirichlet(np.ones(4), (2, N_COLUMNS)), **SIZES)


def local_policy(seed: int = 0) -> LocalPolicy:
    return LocalPolicy(np.random.default_rng(seed).dirichlet(np.ones(3), (3, 2)))

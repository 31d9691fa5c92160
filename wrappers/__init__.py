"""What one sees, and whose view it is: k-of-n observation, single-agent views of a game, and its chained MDPs."""

from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.finite_mdp import FiniteMDP
from kofn.wrappers.flatten import Homogenize, homogenize
from kofn.wrappers.histogram_chain import HistogramChain
from kofn.wrappers.replica_chain import ReplicaChain
from kofn.wrappers.samplers import DistanceWeighted, Sampler, Stratified, Uniform
from kofn.wrappers.subsample import SubsampleObservation

__all__ = [
    "DistanceWeighted",
    "FiniteMDP",
    "GlobalBestResponse",
    "HistogramChain",
    "Homogenize",
    "LocalBestResponse",
    "ReplicaChain",
    "Sampler",
    "Stratified",
    "SubsampleObservation",
    "Uniform",
    "homogenize",
]

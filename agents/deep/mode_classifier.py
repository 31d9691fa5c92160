r"""The paper's supervised G-step (Appendix G.2): the global agent learns to name the bin in which most agents are.

Populations are drawn at their start; k agents of each are seen; the label is the fullest bin of ALL agents. The network
minimises cross-entropy on (shares of the k agents per bin, label). Neither the local policy nor the reward enters, so
that the answer is a best response only where heading for the fullest bin is one; UPDATE decides. An action is taken to
be a bin: the game must have as many global actions as bins.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kofn.agents.deep.networks import FitConfig, fit_labels
from kofn.agents.deep.response import DeepResponse
from kofn.envs.arrays import integer
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.population import sample_without_replacement
from kofn.envs.streams import Streams, child

if TYPE_CHECKING:
    from kofn.agents.alternation.learners import Problem


@dataclass(frozen=True, kw_only=True)
class ModeClassifier(FitConfig):
    """The supervised G-step; defaults are Table 4's.

    Args:
        n_steps: gradient steps on all samples.
        learning_rate: Adam's.
        batch_size: samples per step; None: all.
        n_samples: populations drawn.

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range.
    """

    n_samples: int = 3000

    def __post_init__(self) -> None:
        """Validate."""
        super().__post_init__()
        integer("n_samples", self.n_samples, 1)

    def check(self, game: Any, k: int) -> None:  # noqa: ARG002  # a learner's signature
        """Raise TypeError or ValueError for a game whose global actions are not its bins."""
        if not isinstance(game, ContinuousGame):
            raise TypeError(f"the supervised G-step needs a ContinuousGame; got {type(game).__name__}")
        n_bins = len(game.bin_edges) - 1
        if game.n_global_actions != n_bins:
            raise ValueError(
                f"the supervised G-step names a bin, so |A_g| must be the number of bins, {n_bins}; "
                f"it is {game.n_global_actions}"
            )

    def __call__(self, problem: "Problem") -> DeepResponse:
        """The current network, trained further."""
        began = time.perf_counter()
        self.check(problem.game, problem.k)
        streams = Streams.from_seed(child(problem.seed, 0))
        simulator = ContinuousSimulator(problem.game, problem.n_agents, n_populations=self.n_samples)
        simulator.reset(streams)
        counts = sample_without_replacement(streams.sampling, simulator.counts(), problem.k)
        inputs = problem.global_policy.inputs(simulator.global_states, counts)
        start = problem.global_policy.layers
        layers, met = fit_labels(start, inputs, simulator.start_modes, self, child(problem.seed, 1))
        return DeepResponse(
            policy=replace(problem.global_policy, layers=layers),
            n_iterations=self.n_steps,
            n_samples=self.n_samples,
            statistics={"accuracy": met},
            wall_time=time.perf_counter() - began,
        )


def mode_accuracy(problem: "Problem", n_samples: int, seed: np.random.SeedSequence) -> float:
    """Share of fresh populations whose fullest bin the global policy names at their start."""
    streams = Streams.from_seed(seed)
    simulator = ContinuousSimulator(problem.game, problem.n_agents, n_populations=n_samples)
    simulator.reset(streams)
    counts = sample_without_replacement(streams.sampling, simulator.counts(), problem.k)
    named = problem.global_policy.act(simulator.global_states, counts)
    return float((named == simulator.start_modes).mean())

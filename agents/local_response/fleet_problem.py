r"""What every method of L-LEARN is given and gives back.

The fleet's response to pi_g is sought on a population of N agents of which pi_g sees k per step: N = k is the paper's
chain, N = n the deployed game. Two deviations from the fleet's current policy pi_l are told apart:

    shared   all N agents adopt pi':      Phi(pi_g, pi')                       (the paper's Definition 2.4)
    tagged   one agent adopts pi':        V(pi_g; pi', pi_l^{N-1})             (the others keep pi_l)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import ClassVar, Literal, Protocol

import numpy as np

from kofn.agents.exact_operator import exact_operator
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.observation_channel import Channel
from kofn.agents.operators import Kernel, induced_transition, sampled_kernel
from kofn.envs.arrays import FloatArray
from kofn.envs.game import TabularGame
from kofn.envs.histograms import n_histograms
from kofn.envs.model import Game
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import child

Deviation = Literal["shared", "tagged"]

SOLVER_ERROR = 1e-11
"""A rise of Phi below this fraction of r~/(1-gamma) may be rounding of the linear solves."""

LARGE_CHAIN = 2**12
"""States from which on a digit of the linear systems costs time: they are solved to .."""

LARGE_CHAIN_TOLERANCE, LARGE_CHAIN_ERROR = 1e-6, 1e-6
""".. this residual, and rises of Phi are believed from this fraction of r~/(1-gamma) on. On the warehouse Phi errs by
less than a tenth of that, the first-order gap by less than a hundredth of what stops a climb."""

CACHED_BYTES = 2**29
"""Kernels kept for policies that share some of their rows."""

KERNEL_STREAM, SEARCH_STREAM, LEARNER_STREAM, ORACLE_STREAM = range(4)
"""Children of a problem's seed: samples of kernels, starts of searches, episodes and draws, draws from an oracle."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FleetProblem:
    """Improve the fleet's policy against a fixed global policy.

    Attributes:
        game: the game.
        global_policy: pi_g, which sees k agents.
        start: pi_l, the fleet's current policy.
        n_agents: N, at least k unless the channel is multinomial.
        n_samples: m, samples per row of the kernels; 0: exact kernels.
        seed: source of all randomness.
        channel: how the k agents that pi_g sees are drawn among the N.
    """

    game: TabularGame
    global_policy: GlobalPolicy
    start: LocalPolicy
    n_agents: int
    n_samples: int
    seed: np.random.SeedSequence
    channel: Channel = "without_replacement"

    @property
    def resolution(self) -> float:
        """The least rise of Phi that is certainly no error of the linear systems."""
        return (LARGE_CHAIN_ERROR if self._large else SOLVER_ERROR) * self.game.value_bound

    @property
    def _large(self) -> bool:
        game = self.game
        return game.n_global_states * n_histograms(self.n_agents, game.n_local_states) >= LARGE_CHAIN

    def rng(self, stream: int) -> np.random.Generator:
        """A fresh generator of one of the streams; the same one every time."""
        return np.random.default_rng(child(self.seed, stream))

    def chain(self, local_policy: LocalPolicy) -> LumpedChain:
        """The chain of N agents that all follow `local_policy`."""
        kernels = self.kernels(self.n_agents, local_policy)
        chain = LumpedChain(self.game, self.global_policy, local_policy, kernels, self.n_agents, self.channel)
        tolerance = LARGE_CHAIN_TOLERANCE if self._large else chain.tolerance
        return replace(chain, known_actions=self._global_actions, tolerance=tolerance)

    @cached_property
    def _global_actions(self) -> FloatArray:
        """Alpha of `LumpedChain`, which no policy of the fleet changes."""
        kernels = self.kernels(self.n_agents, self.start)
        chain = LumpedChain(self.game, self.global_policy, self.start, kernels, self.n_agents, self.channel)
        return chain.global_actions

    def kernels(self, n_agents: int, local_policy: LocalPolicy) -> Sequence[Kernel]:
        """Laws of the next histogram of `n_agents` agents, one per s_g."""
        laws = induced_transition(self.game, local_policy)
        return [self.kernel(n_agents, s_g, law) for s_g, law in enumerate(laws)]

    def kernel(self, n_agents: int, s_g: int, law: FloatArray) -> Kernel:
        """The law of the next histogram of `n_agents` agents that move by `law` [s_l, s_l'] at s_g.

        Samples start from one seed per s_g, so that policies with the same actions at s_g share its kernel.
        """
        return self._kernel(n_agents, s_g, law.tobytes())

    @cached_property
    def _kernel(self) -> Callable[[int, int, bytes], Kernel]:
        """Kernel of (number of agents, s_g, bytes of P~(. | ., s_g)), remembered."""
        n_states, n_samples = self.game.n_local_states, self.n_samples
        n_rows = n_histograms(self.n_agents, n_states)
        kernel_bytes = 4 * n_rows * n_samples if n_samples > 0 else 8 * n_rows**2
        build = partial(_build_kernel, n_states, n_samples, self.seed)
        return lru_cache(maxsize=CACHED_BYTES // kernel_bytes)(build)


def _build_kernel(
    n_states: int, n_samples: int, seed: np.random.SeedSequence, n_agents: int, s_g: int, law_bytes: bytes
) -> Kernel:
    law = np.frombuffer(law_bytes).reshape(n_states, n_states)
    if n_samples == 0:
        return exact_operator(np.array(law), n_agents)
    rng = np.random.default_rng(child(seed, KERNEL_STREAM, s_g))
    return sampled_kernel(law, n_agents, n_samples, rng)


@dataclass(frozen=True, eq=False, kw_only=True)
class FleetResponse:
    """What a method found; `LLearnResult` documents the fields."""

    policy: LocalPolicy
    value: float
    deviation: Deviation
    n_samples: int
    n_iterations: int
    converged: bool
    certificate: float = float("nan")
    upper_bound: float = float("nan")


class FleetMethod(Protocol):
    """A method of L-LEARN with its options."""

    uses_kernels: ClassVar[bool]
    """Whether it needs the kernels of N agents, and so `operator`."""

    uses_population: ClassVar[bool]
    """Whether N can be chosen."""

    def check(self, game: Game, n_agents: int) -> None:
        """Raise ValueError for a game or an N too large for the method; kernels are checked elsewhere."""

    def __call__(self, problem: FleetProblem) -> FleetResponse:
        """Respond to `problem.global_policy`."""

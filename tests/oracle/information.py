r"""What looking is worth: the best dispatcher that sees nobody, k agents, or all of them, against one fixed fleet.

Written from the papers' definitions alone; nothing of the package is imported. A game is anything with the attributes
of `oracle.brute_force`; a fleet is a local policy, float [s_l, s_g, a_l]. It moves by P(y | s_g, x) and earns
r(s_g, x) per agent.

**Blind.** A plan is a map b(a_g | s_g). Under a plan s_g is a Markov chain of its own and agents are independent given
its path, so that the value is linear in the crowd: V^b(s_g, c) = sum_x (c_x / n) V^b(s_g, x), V^b the value of a chain
on (s_g, x), whatever n. Plans climb the potential by exact gradients, towards the greedy plan and as far as it pays
(conservative policy iteration), from constants, the uniform plan and random ones.

**Seeing k agents.** The dispatcher estimates the crowd by w F + (1 - w) prior(s_g), F its sample and prior(s_g) the
mean crowd in s_g under itself, and plays the best first step of the best plan or of all plans found (a rollout, or a
parallel rollout):

    argmax_a  max_b  sum_x estimate_x Q^b(s_g, x, a).

At w = 1 and F = c this improves on every plan (policy improvement). w is chosen for each k, and for full information,
on some seeds in the limit of many agents; what it earns is reported on others. The best plan is a candidate too, since
nobody has to look. So the blind value is that of the best plan found, and those that look are bounded from below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

Array = npt.NDArray[np.float64]
Act = Callable[[npt.NDArray[np.int64], Array], npt.NDArray[np.int64]]
"""(s_g [rollout], seen shares of agents [rollout, s_l]) -> a_g [rollout]."""

WEIGHTS = (1.0, 0.5, 0.2)
ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Fleet:
    """A game whose local agents follow a fixed policy [s_l, s_g, a_l]."""

    game: Any
    policy: Array

    @cached_property
    def moves(self) -> Array:
        """P(y | s_g, x), float [s_g, x, y]."""
        return np.einsum("xga,xgay->gxy", self.policy, self.game.local_transition)

    @cached_property
    def pay(self) -> Array:
        """r(s_g, x), float [s_g, x]."""
        return np.einsum("xga,xga->gx", self.policy, self.game.local_reward)

    @cached_property
    def start(self) -> Array:
        """Mean law of an agent at time 0, float [x]."""
        law = self.game.initial_local
        return law.probabilities if hasattr(law, "probabilities") else law.concentration / law.concentration.sum()


@dataclass(frozen=True, eq=False)
class Plan:
    """A blind plan b = `actions` [s_g, a_g] and, exactly, what it is worth against a fleet."""

    fleet: Fleet
    actions: Array

    @cached_property
    def _system(self) -> Array:
        """I - gamma P, over (s_g, x)."""
        leads = np.einsum("ga,gap->gp", self.actions, self.fleet.game.global_transition)
        moves = np.einsum("gp,gxy->gxpy", leads, self.fleet.moves).reshape(self.fleet.pay.size, -1)
        return np.eye(len(moves)) - self.fleet.game.discount * moves

    @cached_property
    def _start(self) -> Array:
        return np.outer(self.fleet.game.initial_global, self.fleet.start)

    @cached_property
    def values(self) -> Array:
        """V^b, float [s_g, x]."""
        rewards = (self.actions * self.fleet.game.global_reward).sum(axis=1)[:, None] + self.fleet.pay
        return np.linalg.solve(self._system, rewards.ravel()).reshape(rewards.shape)

    @cached_property
    def potential(self) -> float:
        """Mean of V^b at time 0."""
        return float((self._start * self.values).sum())

    @cached_property
    def visits(self) -> Array:
        """Discounted visits by agents, float [s_g, x]."""
        return np.linalg.solve(self._system.T, self._start.ravel()).reshape(self._start.shape)

    @cached_property
    def q_values(self) -> Array:
        """Q^b, float [s_g, x, a_g]."""
        game, moves = self.fleet.game, self.fleet.moves
        ahead = np.einsum("gap,gxy,py->gxa", game.global_transition, moves, self.values, optimize=True)
        return game.global_reward[:, None, :] + self.fleet.pay[:, :, None] + game.discount * ahead


def climb(fleet: Fleet, actions: Array, max_steps: int = 100) -> Plan:
    """A plan that no move towards the greedy plan improves."""
    plan = Plan(fleet, actions)
    for _ in range(max_steps):
        gradient = np.einsum("gx,gxa->ga", plan.visits, plan.q_values)
        greedy = np.eye(gradient.shape[1])[gradient.argmax(axis=1)]
        steps = (Plan(fleet, plan.actions + t * (greedy - plan.actions)) for t in 0.5 ** np.arange(8))
        better = next((step for step in steps if step.potential > plan.potential + 1e-7 * abs(plan.potential)), None)
        if better is None:
            break
        plan = better
    return plan


def blind_plans(fleet: Fleet, rng: np.random.Generator, n_random: int = 12) -> list[Plan]:
    """Distinct plans that were climbed to, best first, then the constants."""
    n_global, n_actions = fleet.game.global_reward.shape
    constants = [np.eye(n_actions)[np.full(n_global, action)] for action in range(n_actions)]
    random = [np.eye(n_actions)[rng.integers(n_actions, size=n_global)] for _ in range(n_random)]
    uniform = np.full((n_global, n_actions), 1 / n_actions)
    with threadpool_limits(1):  # the systems are too small for more, and waiting for busy cores takes seconds
        found = [climb(fleet, start) for start in (uniform, *constants, *random)]
        found.sort(key=lambda plan: -plan.potential)
    plans: list[Plan] = []
    for plan in [*found, *(Plan(fleet, actions) for actions in constants)]:
        if all(np.abs(plan.actions - other.actions).max() > 1e-6 for other in plans):
            plans.append(plan)
    return plans


@dataclass(frozen=True, eq=False)
class Rollout:
    """The parallel rollout over plans, its crowd estimated with weight w on the sample."""

    plans: Sequence[Plan]
    prior: Array
    weight: float

    @cached_property
    def _scores(self) -> Array:
        """Q-values of all plans, float [s_g, x, plan and a_g]."""
        scores = np.stack([plan.q_values for plan in self.plans], axis=2)
        return scores.reshape(*scores.shape[:2], -1)

    def __call__(self, s_g: npt.NDArray[np.int64], seen: Array) -> npt.NDArray[np.int64]:
        """Actions, int64 [rollout]."""
        estimate = self.weight * seen + (1 - self.weight) * self.prior[s_g]
        actions = np.zeros_like(s_g)
        for state in np.unique(s_g):
            here = s_g == state
            scores = (estimate[here] @ self._scores[state]).reshape(here.sum(), len(self.plans), -1)
            actions[here] = scores.max(axis=1).argmax(axis=1)
        return actions


def blindly(plan: Plan, rng: np.random.Generator) -> Act:
    """Acts by the plan whatever it sees."""
    thresholds = np.cumsum(plan.actions, axis=1)
    thresholds[:, -1] = 1.0
    return lambda s_g, _seen: (rng.random(len(s_g))[:, None] >= thresholds[s_g]).sum(axis=1)


def without_replacement(rng: np.random.Generator, counts: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Histograms of k agents drawn from each crowd [rollout, s_l]."""
    others, wanted = counts.sum(axis=1), np.full(len(counts), k)
    seen = np.zeros_like(counts)
    for x in range(counts.shape[1]):
        others = others - counts[:, x]
        seen[:, x] = rng.hypergeometric(counts[:, x], others, wanted)
        wanted = wanted - seen[:, x]
    return seen


def play(
    fleet: Fleet, act: Act, n: int | None, k: int | None, *, horizon: int, n_rollouts: int, seed: int
) -> tuple[Array, Array]:
    """(discounted returns [rollout], discounted visits of (s_g, x) by agents) in the game of n agents.

    `n=None` is the limit of many agents, `k=None` sees them all. Equal seeds give common random numbers: the same
    starts and the same noise of s_g.
    """
    game = fleet.game
    starts, noise, moving, sampling = (np.random.default_rng([seed, purpose]) for purpose in range(4))
    s_g = starts.choice(len(fleet.pay), size=n_rollouts, p=game.initial_global)
    law = game.initial_local
    shares = starts.dirichlet(law.concentration, n_rollouts) if hasattr(law, "concentration") else fleet.start
    shares = np.broadcast_to(shares, (n_rollouts, len(fleet.start)))
    counts = None if n is None else starts.multinomial(n, shares)
    returns, visits = np.zeros(n_rollouts), np.zeros_like(fleet.pay)
    thresholds = np.cumsum(game.global_transition, axis=2)
    for t in range(horizon):
        crowd = shares if counts is None else counts / n
        seen = crowd if k is None else _sample(sampling, crowd, counts, k) / k
        a_g = act(s_g, seen)
        returns += game.discount**t * (game.global_reward[s_g, a_g] + (crowd * fleet.pay[s_g]).sum(axis=1))
        np.add.at(visits, s_g, game.discount**t * crowd)
        if counts is None:
            shares = np.einsum("bx,bxy->by", shares, fleet.moves[s_g])
        else:
            counts = moving.multinomial(counts, fleet.moves[s_g]).sum(axis=1)
        uniforms = noise.random(n_rollouts)[:, None]
        s_g = np.minimum((uniforms >= thresholds[s_g, a_g]).sum(axis=1), len(fleet.pay) - 1)
    return returns, visits


def _sample(rng: np.random.Generator, crowd: Array, counts: npt.NDArray[np.int64] | None, k: int) -> Any:
    if counts is not None:
        return without_replacement(rng, counts, k)
    return rng.multinomial(k, crowd / crowd.sum(axis=1, keepdims=True))


def tuned(fleet: Fleet, plans: Sequence[Plan], k: int | None, *, horizon: int, n_rollouts: int, seed: int) -> Act:
    """What earns most seeing k of infinitely many agents: the best plan, or a rollout with some weight and prior."""

    def outcome(act: Act) -> tuple[float, Array]:
        returns, visits = play(fleet, act, None, k, horizon=horizon, n_rollouts=n_rollouts, seed=seed)
        return float(returns.mean()), visits

    blind = blindly(plans[0], np.random.default_rng([seed, 101]))
    candidates: list[tuple[float, Act]] = [(outcome(blind)[0], blind)]
    for known, weight in product((plans[:1], plans), WEIGHTS):
        visits = plans[0].visits
        for _ in range(ROUNDS):
            prior = visits + 1e-9 * fleet.start
            rollout = Rollout(known, prior / prior.sum(axis=1, keepdims=True), weight)
            mean, visits = outcome(rollout)
            candidates.append((mean, rollout))
    return max(candidates, key=lambda candidate: candidate[0])[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ladder:
    """What each class earns, on common random numbers.

    Attributes:
        blind: exact potential of the best plan.
        returns: discounted returns [rung, rollout], of the best plan, of those that see k agents in rising k, and of
            full information.
        k: agents seen on each rung: 0, .., n.
    """

    blind: float
    returns: Array
    k: tuple[int, ...]

    @property
    def means(self) -> Array:
        """Mean return of each rung."""
        return self.returns.mean(axis=1)

    def gain(self, low: int, high: int) -> tuple[float, float]:
        """(mean, standard error) of what rung `high` earns more than rung `low`, paired."""
        difference = self.returns[high] - self.returns[low]
        return float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5)

    def __str__(self) -> str:
        """One line per rung: agents seen, mean return, and the gain over the rung below with its standard error."""
        lines = [f"k = 0: {self.means[0]:.2f} (best plan, exactly: {self.blind:.2f})"]
        for rung in range(1, len(self.k)):
            gain, error = self.gain(rung - 1, rung)
            lines.append(f"k = {self.k[rung]}: {self.means[rung]:.2f}, {gain:+.2f} (standard error {error:.2f})")
        return "\n".join(lines)


def ladder(
    game: Any,
    policy: Array,
    *,
    n: int,
    ks: Sequence[int],
    horizon: int = 100,
    n_rollouts: int = 300,
    n_selection: int = 200,
    seed: int = 0,
) -> Ladder:
    """What the dispatchers of n agents earn that see nobody, k of them for every k of `ks`, or all, in this order."""
    fleet = Fleet(game, policy)
    plans = blind_plans(fleet, np.random.default_rng([seed, 100]))
    effort = {"horizon": horizon, "n_rollouts": n_selection, "seed": seed + 1}
    rungs: list[tuple[Act, int | None]] = [(blindly(plans[0], np.random.default_rng([seed, 101])), None)]
    rungs += [(tuned(fleet, plans, k, **effort), k) for k in (*ks, None)]
    returns = [play(fleet, act, n, k, horizon=horizon, n_rollouts=n_rollouts, seed=seed + 2)[0] for act, k in rungs]
    return Ladder(blind=plans[0].potential, returns=np.stack(returns), k=(0, *ks, n))

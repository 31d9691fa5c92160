"""The lumped chain against individual agents: values, occupancies, and the gradient against finite differences."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from oracle import brute_force

from kofn.agents.lumped_chain import MAX_CONDITION, LumpedChain
from kofn.agents.observation_channel import lift, project
from kofn.agents.operators import exact_kernel, induced_transition, sampled_kernel
from kofn.envs import DirichletStart, FixedStart, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.histograms import n_histograms

Games = Callable[..., TabularGame]
LocalPolicies = Callable[..., LocalPolicy]
GlobalPolicies = Callable[..., GlobalPolicy]


def chain_of(game: TabularGame, global_policy: GlobalPolicy, local_policy: LocalPolicy) -> LumpedChain:
    kernels = [exact_kernel(t, global_policy.k) for t in induced_transition(game, local_policy)]
    return LumpedChain(game, global_policy, local_policy, kernels, global_policy.k)


def gradient_of(chain: LumpedChain, *, exact: bool = True) -> FloatArray:
    return chain.local_gradient(lambda _, law: exact_kernel(law, chain.n_agents - 1), exact=exact)


Chains = Callable[..., LumpedChain]


@pytest.fixture
def chain(random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies) -> Chains:
    """chain(seed, n_agents, start of the local agents): random stochastic policies on a random game."""

    def build(seed: int, n_agents: int, start: FixedStart | DirichletStart | None = None) -> LumpedChain:
        n_local = 3 if start is None else start.n_states
        game = random_game(seed, n_global=3 - seed % 2, n_local=n_local, initial_local=start)
        return chain_of(game, random_global(game, n_agents, seed), random_local(game, seed))

    return build


STARTS = [None, FixedStart(np.array([0.2, 0.8])), DirichletStart(np.array([0.3, 0.7, 2.0]))]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("n_agents", [1, 2, 3])
def test_values_equal_those_of_individual_agents(
    chain: Chains, n_agents: int, start: FixedStart | DirichletStart | None
) -> None:
    """A solve with relative residual 1e-12 errs by at most 1e-12 |R|/(1-gamma) in norm; |R| is below 2 per state."""
    lumped = chain(n_agents, n_agents, start)
    game, n_local = lumped.game, lumped.game.n_local_states
    tables = lumped.global_policy.probabilities(), lumped.local_policy.table
    values, potential = brute_force.values(game, *tables, n_agents, n_agents)
    allowed = 1e-12 * 2 * np.sqrt(lumped.rewards.size) / 0.1
    for s, value in zip(brute_force.joint_states(game, n_agents), values, strict=True):
        assert lumped.values[s[0], brute_force.rank(s[1:], n_local)] == pytest.approx(value, abs=allowed)
    assert lumped.potential == pytest.approx(potential, abs=allowed)


@pytest.mark.parametrize("deterministic", [False, True])
def test_values_under_a_global_policy_of_either_kind(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, deterministic: bool
) -> None:
    game = random_game(8)
    global_policy = random_global(game, 3, 8, deterministic)
    local_policy = random_local(game, 8)
    wanted = brute_force.potential(game, global_policy.probabilities(), local_policy.table, 3, 3)
    assert chain_of(game, global_policy, local_policy).potential == pytest.approx(wanted, abs=1e-8)


def test_start_is_the_law_of_the_histogram(chain: Chains) -> None:
    for start in STARTS[1:]:
        lumped = chain(1, 3, start)
        law = np.zeros_like(lumped.start)
        joint = brute_force.start_law(lumped.game, 3)
        for s, chance in zip(brute_force.joint_states(lumped.game, 3), joint, strict=True):
            law[s[0], brute_force.rank(s[1:], lumped.game.n_local_states)] += chance
        assert lumped.start == pytest.approx(law, abs=1e-12)


@pytest.mark.parametrize("n_agents", [1, 2, 5])
def test_occupancy_sums_to_the_effective_horizon_and_prices_the_rewards(chain: Chains, n_agents: int) -> None:
    for seed in range(5):
        lumped = chain(seed, n_agents)
        assert lumped.occupancy.sum() == pytest.approx(10, rel=1e-8)
        assert lumped.occupancy.min() >= -1e-8
        assert np.vdot(lumped.occupancy, lumped.rewards) == pytest.approx(lumped.potential, rel=1e-8)


def test_flow_is_the_adjoint_of_expectation(chain: Chains) -> None:
    """<P V, d> = <V, P^T d>, for exact kernels and for sampled ones."""
    rng = np.random.default_rng(0)
    for seed in range(5):
        exact = chain(seed, 4)
        transitions = induced_transition(exact.game, exact.local_policy)
        sampled = [sampled_kernel(t, 4, 3, rng) for t in transitions]
        for lumped in (
            exact,
            LumpedChain(exact.game, exact.global_policy, exact.local_policy, sampled, exact.n_agents),
        ):
            values, weights = rng.standard_normal((2, *lumped.rewards.shape))
            forward = np.vdot(lumped.expectation(values), weights)
            assert forward == pytest.approx(np.vdot(values, lumped.flow(weights)), abs=1e-12)
            assert lumped.expectation(np.ones_like(values)) == pytest.approx(np.ones_like(values))


def finite_differences(game: TabularGame, global_table: FloatArray, local_table: FloatArray, n: int) -> FloatArray:
    """dPhi along e_a - e_0 in every row (x, s_g), by four-point differences of the oracle's Phi, [x, s_g, a]."""
    step = 1e-3
    slopes = np.zeros_like(local_table)
    for x, s_g, a in np.ndindex(local_table.shape):

        def phi(multiple: int, x: int = x, s_g: int = s_g, a: int = a) -> float:
            moved = local_table.copy()
            moved[x, s_g, a] += multiple * step
            moved[x, s_g, 0] -= multiple * step
            return brute_force.potential(game, global_table, moved, n, n)

        slopes[x, s_g, a] = 0 if a == 0 else (8 * (phi(1) - phi(-1)) - (phi(2) - phi(-2))) / (12 * step)
    return slopes


@pytest.mark.parametrize(("n_agents", "n_local", "n_actions"), [(1, 3, 3), (2, 2, 3), (2, 3, 2), (3, 2, 2)])
@pytest.mark.parametrize("deterministic", [False, True])
def test_gradient_equals_finite_differences(
    random_game: Games,
    random_local: LocalPolicies,
    random_global: GlobalPolicies,
    n_agents: int,
    n_local: int,
    n_actions: int,
    deterministic: bool,
) -> None:
    """Along every direction of the simplex, at stochastic and deterministic policies of both players."""
    for seed in range(2):
        game = random_game(10 * n_agents + seed, n_local=n_local, n_local_actions=n_actions, discount=0.8)
        global_policy = random_global(game, n_agents, seed, deterministic)
        local_policy = random_local(game, seed)
        if deterministic:
            local_policy = LocalPolicy(np.eye(n_actions)[local_policy.table.argmax(axis=2)])
        chain = chain_of(game, global_policy, local_policy)
        slopes = finite_differences(game, global_policy.probabilities(), local_policy.table, n_agents)
        assert np.abs(slopes).max() > 0.1
        for gradient in (gradient_of(chain), gradient_of(chain, exact=False)):
            assert gradient - gradient[..., :1] == pytest.approx(slopes, abs=1e-6 * np.abs(slopes).max())


def test_gradient_does_without_the_kernel_of_the_others_where_the_law_can_be_inverted(chain: Chains) -> None:
    """Equal up to rounding times the condition of the laws; the others' kernel is used where no law can be inverted."""

    def never(s_g: int, law: FloatArray) -> FloatArray:
        raise AssertionError(f"asked for the kernel of the others at s_g={s_g}")

    lumped = chain(0, 4)
    laws = induced_transition(lumped.game, lumped.local_policy)
    worst = max(np.linalg.cond(law) for law in laws)
    assert worst <= MAX_CONDITION
    inverted, wanted = lumped.local_gradient(never), gradient_of(lumped, exact=False)
    assert inverted == pytest.approx(wanted, abs=1e-14 * worst * np.abs(wanted).max())
    # Where an agent goes does not depend on where it is.
    together = np.tile(lumped.game.local_transition[:1], (3, 1, 1, 1))
    alike = chain_of(
        replace(lumped.game, local_transition=together), lumped.global_policy, LocalPolicy.named("uniform", lumped.game)
    )
    with pytest.raises(AssertionError, match="asked for the kernel of the others at s_g=0"):
        alike.local_gradient(never)
    assert gradient_of(alike) == pytest.approx(gradient_of(alike, exact=False), abs=1e-14)


def test_gradient_of_a_start_that_never_leaves_its_state(random_game: Games, random_global: GlobalPolicies) -> None:
    """States that nobody visits carry no gradient."""
    game = random_game(0, n_local=2, initial_local=FixedStart(np.array([1.0, 0.0])))
    frozen = TabularGame(
        global_transition=game.global_transition,
        local_transition=np.tile(np.eye(2)[:, None, None], (1, 2, 2, 1)),
        global_reward=game.global_reward,
        local_reward=game.local_reward,
        discount=0.9,
        initial_local=game.initial_local,
    )
    uniform = LocalPolicy.named("uniform", frozen)
    gradient = gradient_of(chain_of(frozen, random_global(frozen, 2, 0), uniform))
    assert gradient[1] == pytest.approx(np.zeros((2, 2)), abs=1e-7)
    assert np.abs(gradient[0]).max() > 1


def test_game_without_rewards_is_worth_nothing(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(0)
    empty = TabularGame(
        global_transition=game.global_transition,
        local_transition=game.local_transition,
        global_reward=np.zeros((2, 2)),
        local_reward=np.zeros((2, 2, 2)),
        discount=0.9,
    )
    lumped = chain_of(empty, random_global(empty, 2, 0), LocalPolicy.named("uniform", empty))
    assert lumped.potential == 0


def test_lift_averages_over_all_subsets(random_game: Games, random_global: GlobalPolicies) -> None:
    game = random_game(3, n_local=3)
    for n_agents, k in [(1, 1), (3, 1), (4, 2), (5, 4), (4, 4)]:
        policy = random_global(game, k, n_agents).probabilities()
        lifted = lift(policy.swapaxes(0, 1), k, n_agents, 3)
        for s in brute_force.joint_states(game, n_agents):
            wanted = brute_force.global_law(policy, s, 3, k)
            assert lifted[brute_force.rank(s[1:], 3), s[0]] == pytest.approx(wanted, abs=1e-14)


def test_project_is_the_adjoint_of_lift() -> None:
    rng = np.random.default_rng(1)
    for n_agents, k in [(7, 2), (6, 6), (9, 8)]:
        seen = rng.standard_normal((n_histograms(k, 4), 2))
        weights = rng.standard_normal((n_histograms(n_agents, 4), 2))
        forward = np.vdot(lift(seen, k, n_agents, 4), weights)
        assert forward == pytest.approx(np.vdot(seen, project(weights, k, n_agents, 4)), abs=1e-11)


@pytest.mark.parametrize(("n_agents", "k"), [(2, 1), (3, 1), (3, 2), (4, 2)])
def test_deployed_values_equal_those_of_individual_agents(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, n_agents: int, k: int
) -> None:
    """The global agent sees k of n agents, afresh in every step."""
    game = random_game(n_agents, n_local=2 + k % 2)
    global_policy, local_policy = random_global(game, k, 1), random_local(game, 1)
    deployed = LumpedChain.exact(game, global_policy, local_policy, n_agents)
    tables = global_policy.probabilities(), local_policy.table
    values, potential = brute_force.values(game, *tables, n_agents, k)
    for s, value in zip(brute_force.joint_states(game, n_agents), values, strict=True):
        assert deployed.values[s[0], brute_force.rank(s[1:], game.n_local_states)] == pytest.approx(value, abs=1e-9)
    assert deployed.potential == pytest.approx(potential, abs=1e-9)


@pytest.mark.parametrize(("n_agents", "k"), [(1, 1), (3, 1), (3, 2)])
def test_global_gradient_equals_finite_differences(
    random_game: Games, random_local: LocalPolicies, random_global: GlobalPolicies, n_agents: int, k: int
) -> None:
    game = random_game(n_agents, n_local=2, discount=0.8)
    global_policy, local_policy = random_global(game, k, 2), random_local(game, 2)
    gradient = LumpedChain.exact(game, global_policy, local_policy, n_agents).global_gradient()
    table, step = global_policy.probabilities(), 1e-3
    for s_g, seen in np.ndindex(table.shape[:2]):
        direction = np.zeros_like(table)
        direction[s_g, seen] = [-1, *[1 / (table.shape[2] - 1)] * (table.shape[2] - 1)]

        def phi(multiple: int, direction: FloatArray = direction) -> float:
            moved = table + multiple * step * direction
            return brute_force.potential(game, moved, local_policy.table, n_agents, k)

        slope = (8 * (phi(1) - phi(-1)) - (phi(2) - phi(-2))) / (12 * step)
        assert np.vdot(gradient, direction) == pytest.approx(slope, abs=1e-7)


def test_exact_chain_of_too_many_agents_is_refused(warehouse3: TabularGame) -> None:
    uniform = LocalPolicy.named("uniform", warehouse3)
    with pytest.raises(ValueError, match=r"take 2\.4e\+10 products per step of the chain at n_agents=1000"):
        LumpedChain.exact(warehouse3, GlobalPolicy.named("keep", warehouse3, 2), uniform, 1000)


def test_policy_that_sees_more_agents_than_there_are_is_refused(warehouse3: TabularGame) -> None:
    uniform = LocalPolicy.named("uniform", warehouse3)
    with pytest.raises(ValueError, match="observes k=4 agents, more than n_agents=3"):
        LumpedChain.exact(warehouse3, GlobalPolicy.named("keep", warehouse3, 4), uniform, 3)


def test_both_solvers_agree(chain: Chains, monkeypatch: pytest.MonkeyPatch) -> None:
    """LU factors in small chains, GMRES in large ones, to the accuracy of the second."""
    for seed in range(3):
        direct = chain(seed, 4)
        wanted = direct.values, direct.occupancy
        with monkeypatch.context() as patch:
            patch.setattr("kofn.agents.lumped_chain.MAX_DIRECT_STATES", 0)
            iterated = chain(seed, 4)
            assert iterated.values == pytest.approx(wanted[0], abs=1e-9)
            assert iterated.occupancy == pytest.approx(wanted[1], abs=1e-9)
            assert (iterated.values != wanted[0]).any()

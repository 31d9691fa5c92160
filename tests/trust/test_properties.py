"""Properties of every game, on random ones: sizes 1 to 5, k up to 6, n up to 50."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from trust.random_cases import Case, cases

from kofn.agents import AlternatingConfig, AlternatingMARL, LumpedChain, g_learn
from kofn.agents.operators import exact_kernel, induced_transition
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.envs.arrays import IntArray
from kofn.envs.histograms import rank_histograms
from kofn.envs.population import sample_without_replacement
from kofn.envs.simulator import IndividualSimulator, LumpedSimulator
from kofn.envs.streams import Streams
from kofn.wrappers import SubsampleObservation

BATCH = 3000
LEVEL = 1e-6
"""Of each test in law: with 30 of them a right simulator fails once in 30,000 choices of seeds."""

few = settings(max_examples=30, deadline=None, derandomize=True)
fewer = settings(max_examples=12, deadline=None, derandomize=True)


def crowds_one_by_one(case: Case, n_steps: int) -> tuple[IntArray, IntArray]:
    """(s_g [batch], counts [batch, s_l]) after some steps of agents kept one by one."""
    simulator = IndividualSimulator(case.game, case.n_agents, n_populations=BATCH)
    streams = Streams.from_seed([case.seed, 0])
    simulator.reset(streams)
    for _ in range(n_steps):
        a_g = case.global_policy.act(simulator.global_states, seen_one_by_one(case, simulator, streams), streams.policy)
        a_l = case.local_policy.act(simulator.local_states, simulator.global_states[:, None], streams.policy)
        simulator.step(a_g, a_l)
    return simulator.global_states, simulator.counts()


def seen_one_by_one(case: Case, simulator: IndividualSimulator, streams: Streams) -> IntArray:
    """Histograms of k agents, those with the smallest of n random numbers, int64 [batch, s_l]."""
    chosen = streams.sampling.random((BATCH, case.n_agents)).argsort(axis=1)[:, : case.k]
    states = np.take_along_axis(simulator.local_states, chosen, axis=1)
    return (states[:, :, None] == np.arange(case.game.n_local_states)).sum(axis=1)


def crowds_lumped(case: Case, n_steps: int) -> tuple[IntArray, IntArray]:
    """The same of populations kept as counts."""
    simulator = LumpedSimulator(case.game, case.n_agents, n_populations=BATCH)
    streams = Streams.from_seed([case.seed, 1])
    simulator.reset(streams)
    for _ in range(n_steps):
        seen = sample_without_replacement(streams.sampling, simulator.counts, case.k)
        simulator.step(case.global_policy.act(simulator.global_states, seen, streams.policy), case.local_policy.table)
    return simulator.global_states, simulator.counts


def assert_same_law(one: IntArray, other: IntArray) -> None:
    """Two-sample chi-square test; rare outcomes are pooled until each is expected five times."""
    outcomes, index = np.unique(np.concatenate([one, other]), return_inverse=True)
    table = np.stack([np.bincount(part, minlength=len(outcomes)) for part in (index[: len(one)], index[len(one) :])])
    rare = table.sum(axis=0) < 20
    pooled = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) >= 20]
    if pooled.shape[1] > 1:
        assert chi2_contingency(pooled).pvalue > LEVEL


@few
@given(cases())
def test_agents_one_by_one_and_lumped_agree_in_law(case: Case) -> None:
    one, other = crowds_one_by_one(case, 2), crowds_lumped(case, 2)
    assert (one[1].sum(axis=1) == case.n_agents).all()
    assert (other[1].sum(axis=1) == case.n_agents).all()
    for state in range(case.game.n_local_states):
        joint = [global_states * 64 + counts[:, state] for global_states, counts in (one, other)]
        assert_same_law(*joint)


def test_the_test_in_law_finds_a_small_difference() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError):
        assert_same_law(rng.binomial(50, 0.5, BATCH), rng.binomial(50, 0.53, BATCH))


@few
@given(cases(max_agents=7, max_k=4))
def test_probabilities_are_conserved(case: Case) -> None:
    kernels = [exact_kernel(moves, case.n_agents) for moves in induced_transition(case.game, case.local_policy)]
    chain = LumpedChain(case.game, case.global_policy, case.local_policy, kernels, case.n_agents)
    for kernel in kernels:
        assert (kernel >= 0).all()
        np.testing.assert_allclose(kernel.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(chain.global_actions.sum(axis=2), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(chain.start.sum(), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(chain.occupancy.sum(), 1 / (1 - case.game.discount), rtol=1e-9)


@few
@given(cases(max_agents=7, max_k=4))
def test_values_lie_between_zero_and_their_bound_once_rewards_are_shifted(case: Case) -> None:
    game = case.game
    shift = -min(game.global_reward.min(), 0) - min(game.local_reward.min(), 0)
    values = LumpedChain.exact(game, case.global_policy, case.local_policy, case.n_agents).values
    shifted = values + shift / (1 - game.discount)
    assert shifted.min() >= -1e-9 * game.value_bound
    assert shifted.max() <= game.value_bound * (1 + 1e-9)


@few
@given(cases(), st.data())
def test_which_agent_is_which_does_not_matter(case: Case, data: st.DataObject) -> None:
    """Permuted agents are paid the same, seen the same, and take turns in the same way."""
    order = np.array(data.draw(st.permutations(range(case.n_agents))))
    env = PopulationEnv(case.game, case.n_agents)
    observations, _ = env.reset(seed=case.seed)
    states = env.simulator.local_states.copy()
    rng = np.random.default_rng(case.seed)
    a_g = rng.integers(case.game.n_global_actions, size=1)
    a_l = rng.integers(case.game.n_local_actions, size=(1, case.n_agents))
    paid = env.simulator.step(a_g, a_l)
    again, _ = env.reset(seed=case.seed)
    assert (again["global_0"] == observations["global_0"]).all()
    env.simulator.local_states = states[:, order]
    seen = env.global_encoding.observe(env.simulator.global_states, env.simulator.local_states)
    np.testing.assert_array_equal(seen[0], observations["global_0"])
    permuted = env.simulator.step(a_g, a_l[:, order])
    np.testing.assert_allclose(permuted.team_reward, paid.team_reward, rtol=0, atol=1e-12)


@fewer
@given(cases(max_agents=3, max_k=3))
def test_values_of_tuples_do_not_depend_on_their_order(case: Case) -> None:
    result = g_learn(case.game, case.local_policy, k=case.k, parameterisation="tuple", tolerance=1e-7)
    table = result.tuple_q_values
    assert table is not None
    for order in permutations(range(1, case.k + 1)):
        np.testing.assert_allclose(table.transpose(0, *order, case.k + 1), table, rtol=0, atol=1e-9)
    for states in product(range(case.game.n_local_states), repeat=case.k):
        rank = rank_histograms(np.bincount(states, minlength=case.game.n_local_states))
        np.testing.assert_allclose(result.q_values[:, rank], table[(slice(None), *states)], rtol=0, atol=1e-9)


@few
@given(cases(max_agents=6))
def test_seeing_all_is_full_observation(case: Case) -> None:
    full = PopulationEnv(case.game, case.n_agents)
    limited = SubsampleObservation(PopulationEnv(case.game, case.n_agents), k=case.n_agents)
    one, _ = full.reset(seed=case.seed)
    other, _ = limited.reset(seed=case.seed)
    assert full.observation_space("global_0") == limited.observation_space("global_0")
    for agent in full.possible_agents:
        np.testing.assert_array_equal(one[agent], other[agent])


@few
@given(cases(max_agents=8), st.integers(1, 7))
def test_returns_are_discounted_sums_over_an_episode_that_ends_at_its_limit(case: Case, max_cycles: int) -> None:
    env = SubsampleObservation(PopulationEnv(case.game, case.n_agents, max_cycles=max_cycles), k=case.k)
    env.reset(seed=case.seed)
    rng = np.random.default_rng(case.seed)
    rewards = []
    while env.agents:
        actions = {agent: int(rng.integers(env.action_space(agent).n)) for agent in env.agents}
        _, paid, terminated, truncated, infos = env.step(actions)
        rewards.append(paid["global_0"])
        assert set(paid.values()) == {paid["global_0"]}
        assert not any(terminated.values())
        assert set(truncated.values()) == {len(rewards) == max_cycles}
    assert len(rewards) == max_cycles
    info = infos["global_0"]
    weights = case.game.discount ** np.arange(max_cycles)
    assert info["team_return"] == pytest.approx(np.sum(rewards), rel=1e-12, abs=1e-12)
    assert info["team_discounted_return"] == pytest.approx(weights @ rewards, rel=1e-12, abs=1e-12)


@few
@given(cases(max_agents=9))
def test_predict_is_the_tables(case: Case) -> None:
    env = SubsampleObservation(PopulationEnv(case.game, case.n_agents), k=case.k)
    config = AlternatingConfig(eta=1.0)
    model = AlternatingMARL(
        env, config, global_policy=case.global_policy, local_policy=case.local_policy, seed=case.seed
    )
    observations, _ = env.reset(seed=case.seed)
    actions = model.predict(observations)
    simulator = env.unwrapped.simulator
    s_g, states = int(simulator.global_states[0]), simulator.local_states[0]
    counts = np.rint(observations["global_0"][case.game.n_global_states :] * case.k).astype(np.int64)
    assert actions.pop("global_0") == case.global_policy.table[s_g, rank_histograms(counts)].argmax()
    assert actions == {f"local_{i}": case.local_policy.table[x, s_g].argmax() for i, x in enumerate(states)}


@fewer
@given(cases(max_agents=6, max_k=3))
def test_what_is_saved_comes_back_bit_equal(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "properties"
    model = AlternatingMARL(
        SubsampleObservation(PopulationEnv(case.game, case.n_agents), k=case.k),
        AlternatingConfig(eta=1.0),
        global_policy=case.global_policy,
        local_policy=case.local_policy,
        seed=case.seed,
    )
    model.save(folder)
    loaded = AlternatingMARL.load(folder)
    assert loaded.global_policy.table.tobytes() == case.global_policy.table.tobytes()
    assert loaded.local_policy.table.tobytes() == case.local_policy.table.tobytes()
    assert isinstance(loaded.setting.game, TabularGame)
    for name in ("global_transition", "local_transition", "global_reward", "local_reward", "initial_global"):
        assert getattr(loaded.setting.game, name).tobytes() == getattr(case.game, name).tobytes()
    assert loaded.setting.game.discount == case.game.discount
    for suffix in (".npz", ".json"):
        case.global_policy.save(folder / f"pi_g{suffix}")
        case.local_policy.save(folder / f"pi_l{suffix}")
        assert GlobalPolicy.load(folder / f"pi_g{suffix}").table.tobytes() == case.global_policy.table.tobytes()
        assert LocalPolicy.load(folder / f"pi_l{suffix}").table.tobytes() == case.local_policy.table.tobytes()

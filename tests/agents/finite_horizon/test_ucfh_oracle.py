"""UCFH on the chain of a game that can only be sampled, the paper's L-LEARN: tables are used to judge it alone."""

from collections.abc import Callable

from kofn.agents import UcfhConfig, backward_induction, evaluate_nonstationary, ucfh
from kofn.envs import GenerativeGame, TabularGame
from kofn.wrappers import ReplicaChain


def test_it_learns_from_samples_of_the_game(random_game: Callable[..., TabularGame]) -> None:
    """Two replicas, two macro steps: what is certified holds for the true chain, and something is learnt."""
    game = random_game(3, discount=0.8)

    def chain(source: TabularGame | GenerativeGame) -> ReplicaChain:
        return ReplicaChain(source, global_policy="uniform", n_replicas=2, discounting="horizon", max_cycles=2)

    sampled, known = chain(GenerativeGame.from_tables(game)), chain(game)
    mdp, weights = known.mdp(), known.reward_weights()
    best = float(mdp.start @ backward_induction(mdp, known.horizon, weights).values[0])
    # With this placement the environment pays gamma^floor(tau/N) r itself, at most 1 + 1/2 in a step.
    config = UcfhConfig(max_episodes=800, epsilon=0.01)
    result = ucfh(sampled, horizon=sampled.horizon, config=config, seed=0, reward_range=(0.0, 1.5))
    reached = float(mdp.start @ evaluate_nonstationary(mdp, result.policy, weights)[0])
    assert result.pessimistic_value <= reached <= best + 1e-9
    assert best <= result.optimistic_value
    assert best - reached <= result.certified_gap
    assert reached - known.potential("uniform") > 0.5 * (best - known.potential("uniform"))

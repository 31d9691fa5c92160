"""ALTERNATING-MARL by hand: G-LEARN and L-LEARN in turn, each proposal judged in the deployed game.

What `AlternatingMARL(env).learn()` does at its defaults, with its settings spelt out: the learners, the judge, and the
history of proposals. The model is saved and loaded back (no pickle).

Run it: `python examples/train_alternating.py --game federated_optimization --k 4`
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from kofn.agents import AlternatingConfig, AlternatingMARL, GLearner, LLearner
from kofn.wrappers.factory import make_parallel


@dataclass(frozen=True)
class Config:
    """What to train.

    Args:
        game: registered game of tables.
        n_agents: number of local agents.
        k: local agents the global agent sees each step.
        max_alternations: turns at most.
        folder: where the model is saved.
        seed: source of all randomness.
    """

    game: str = "warehouse_dispatch"
    n_agents: int = 1000
    k: int = 5
    max_alternations: int = 10
    folder: Path = Path("runs/train_alternating")
    seed: int = 0


def main(config: Config) -> float:
    """Train, print the history, save and load; returns the final potential."""
    env = make_parallel(game=config.game, n_agents=config.n_agents, k=config.k)
    model = AlternatingMARL(
        env,
        AlternatingConfig(max_alternations=config.max_alternations),
        global_learner=GLearner(),
        local_learner=LLearner(method="shared_cpi"),
        seed=config.seed,
    )
    result = model.learn(progress_bar=True)
    for proposal in result.history:
        print(f"{proposal.player:>6}: proposed potential {proposal.proposed_potential:.2f}, {proposal.verdict}")
    print(f"potential {result.potential:.2f}, converged: {result.converged}")
    model.save(config.folder)
    assert (AlternatingMARL.load(config.folder).global_policy.table == model.global_policy.table).all()
    return result.potential


if __name__ == "__main__":
    main(tyro.cli(Config))

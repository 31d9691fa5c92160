"""AgileRL's IPPO on the warehouse, the robots sharing a network; run by run_all.sh in an environment that has agilerl.

Its scores are sums over all agents, n+1 times the team's return (`sum_scores=True`, its default).
"""

from agilerl.algorithms import IPPO
from agilerl.training.train_multi_agent_on_policy import train_multi_agent_on_policy

from kofn.envs.registration import registered_game
from kofn.experiments.integrations.agilerl import spaces_of, to_agilerl

N_AGENTS, HORIZON = 4, 20
GAME = {"game": "warehouse_dispatch", "n_agents": N_AGENTS, "k": 2, "max_cycles": HORIZON}


def main() -> None:
    """Train and check the outcome."""
    env = to_agilerl(num_envs=2, **GAME)
    settings = {"learn_step": 200, "batch_size": 100, "lr": 1e-3, "gamma": registered_game(GAME["game"]).discount}
    agent = IPPO(**spaces_of(**GAME), **settings)
    try:
        population, fitness = train_multi_agent_on_policy(
            env, "kofn", "IPPO", [agent], max_steps=1200, evo_steps=400, eval_steps=HORIZON, verbose=False
        )
    finally:
        env.close()
    returns = [value / (N_AGENTS + 1) for value in population[0].fitness]
    print("team returns:", [round(float(value), 1) for value in returns], "fitness:", fitness)
    assert returns
    assert all(HORIZON < value < HORIZON * 11.5 for value in returns), "a step pays between 1 and 11.5"


if __name__ == "__main__":
    main()

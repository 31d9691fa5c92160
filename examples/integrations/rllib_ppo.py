"""RLlib's PPO on the warehouse, one policy per side; run by run_all.sh in an environment that has ray[rllib].

The dispatcher has a network of its own and the robots share one. The return must rise.
"""

from ray.rllib.algorithms.ppo import PPOConfig

from kofn.experiments.integrations.rllib import multi_policy_config, team_return

N_AGENTS, HORIZON, ITERATIONS = 4, 20, 5


def main() -> None:
    """Train and check the outcome."""
    config = multi_policy_config(PPOConfig(), game="warehouse_dispatch", n_agents=N_AGENTS, k=3, max_cycles=HORIZON)
    config.training(train_batch_size_per_learner=400, minibatch_size=200, num_epochs=8, lr=3e-3)
    config.env_runners(num_env_runners=0).debugging(seed=0)
    algorithm = config.build_algo()
    returns = []
    for _ in range(ITERATIONS):
        result = algorithm.train()
        returns.append(team_return(result, N_AGENTS))
        print(f"team return {returns[-1]:.1f} (RLlib: {result['env_runners']['episode_return_mean']:.0f})")
    assert HORIZON < returns[0] < HORIZON * 11.5, "a step pays between 1 and 11.5"
    assert max(returns[1:]) > returns[0], returns
    algorithm.stop()


if __name__ == "__main__":
    main()

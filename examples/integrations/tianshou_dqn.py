"""Tianshou's DQN as the dispatcher of the warehouse; run by run_all.sh in an environment that has tianshou.

The robots follow a fixed policy (they stay). DQN must beat a dispatcher that acts at random.
"""

import numpy as np
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

from kofn.experiments.integrations.tianshou import to_tianshou, view_envs
from kofn.wrappers.factory import make_parallel

GAME = {"game": "warehouse_dispatch", "n_agents": 1000, "k": 10, "max_cycles": 50, "local_policy": "stay"}


def main() -> None:
    """Train, and check the outcome; then play the multi-agent form once."""
    train, test = view_envs(4, seed=0, **GAME), view_envs(20, seed=1, **GAME)
    discount = train.get_env_attr("discount")[0]
    space, n_actions = train.observation_space[0], train.action_space[0].n
    net = Net(state_shape=space.shape, action_shape=n_actions, hidden_sizes=[64])
    policy = DiscreteQLearningPolicy(model=net, action_space=train.action_space[0], eps_training=0.2)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(lr=2e-3), gamma=discount, target_update_freq=200)
    collector = Collector(algorithm, train, VectorReplayBuffer(20_000, 4), exploration_noise=True)
    collector.reset()
    random = Collector(algorithm, test).collect(n_episode=20, random=True, reset_before_collect=True)
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            test_collector=Collector(algorithm, test),
            max_epochs=3,
            epoch_num_steps=2000,
            collection_step_num_env_steps=40,
            test_step_num_episodes=20,
            batch_size=64,
            update_step_num_gradient_steps_per_sample=0.2,
            verbose=False,
            show_progress=False,
        )
    )
    learnt = Collector(algorithm, test).collect(n_episode=20, reset_before_collect=True)
    print(f"returns over 50 steps: random {random.returns.mean():.1f}, DQN {learnt.returns.mean():.1f}")
    assert learnt.returns.mean() > random.returns.mean() + 20

    together = DummyVectorEnv([lambda: to_tianshou(make_parallel(game="warehouse_dispatch", n_agents=3, k=2))])
    seen, _ = together.reset()
    order = []
    for _ in range(8):
        order.append(seen[0]["agent_id"])
        seen, rewards, *_ = together.step(np.array([0]))
    assert order == ["global_0", "local_0", "local_1", "local_2"] * 2
    assert (rewards > 1).all(), "after the last agent's action everybody is paid"


if __name__ == "__main__":
    main()

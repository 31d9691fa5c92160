"""RLlib: one policy per side.

`multi_policy_config` registers the environment and sets up an algorithm's config: the global agent plays policy
"global_policy", all local agents share "local_policy", gamma is the game's.

    config = multi_policy_config(PPOConfig(), game="warehouse_dispatch", n_agents=20, k=5)
    result = config.training(train_batch_size_per_learner=2000).build_algo().train()
    print(team_return(result, n_agents=20))

RLlib's `episode_return_mean` is the SUM of all agents' rewards: as everybody is paid the team reward, it is n+1 times
the team's return, which `team_return` undoes. RLlib needs gymnasium 1.2.2 (2.60 pins it).
"""

from collections.abc import Mapping
from typing import Any

from kofn.envs.parallel import GLOBAL_AGENT
from kofn.experiments.integrations.requirements import not_installed
from kofn.wrappers.factory import make_parallel

try:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    from ray.tune.registry import register_env
except ImportError:
    raise not_installed("ray") from None

ENV_NAME = "kofn"
GLOBAL_POLICY, LOCAL_POLICY = "global_policy", "local_policy"


def policy_of(agent: str, *_ignored: Any, **_also_ignored: Any) -> str:
    """The policy an agent plays."""
    return GLOBAL_POLICY if agent == GLOBAL_AGENT else LOCAL_POLICY


def multi_policy_config(config: AlgorithmConfig, *, game: str, **options: Any) -> AlgorithmConfig:
    """An algorithm's config for a registered game with one policy per side; see the module.

    Args:
        config: a config of RLlib, as `PPOConfig()`.
        game: registered name.
        options: arguments of `kofn.wrappers.factory.make_parallel`: `n_agents`, `k`, `max_cycles`, ..
    """
    env: Any = make_parallel(game=game, **options).unwrapped
    register_env(ENV_NAME, lambda settings: ParallelPettingZooEnv(make_parallel(**settings)))
    return (
        config.environment(ENV_NAME, env_config={"game": game, **options})
        .multi_agent(policies={GLOBAL_POLICY, LOCAL_POLICY}, policy_mapping_fn=policy_of)
        .training(gamma=env.discount)
    )


def team_return(result: Mapping[str, Any], n_agents: int) -> float:
    """The mean undiscounted return of the team, from a result of RLlib's `train`."""
    return float(result["env_runners"]["episode_return_mean"]) / (n_agents + 1)

"""Other people's learners on our games; one file per library, which is loaded only when that file is imported.

| file | library | what it gives |
|---|---|---|
| `sb3` | Stable-Baselines3 | `to_vec_env`: all agents share one policy |
| `torchrl`, `torchrl_ppo` | TorchRL | `to_torchrl`: groups "global" and "local"; `train_ppo`: MAPPO and IPPO |
| `benchmarl` | BenchMARL | `KofnTask`: the games as tasks |
| `rllib` | RLlib | `multi_policy_config`: one policy per side |
| `tianshou` | Tianshou | `to_tianshou`: the agents one after another |
| `agilerl` | AgileRL | `to_agilerl`: agents grouped by name |

What each can and cannot do is in `docs/integrations.md`.
"""

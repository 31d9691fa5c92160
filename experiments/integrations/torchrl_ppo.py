"""MAPPO and IPPO with TorchRL: one actor per side, shared by the side's agents, trained by clipped PPO.

For side g with agents i, observations o_i, actions a_i and the team reward r:

    actor     pi_g(a_i | o_i), one network for all agents of the side
    critic    V_g(state) (MAPPO, Yu et al. 2022: it sees everybody)  or  V_g(o_i) (IPPO, de Witt et al. 2020)
    advantage generalised advantage estimation (gamma of the game, lambda); time limits are bootstrapped
    loss      clipped PPO surrogate + smooth L1 of the critic - entropy bonus, Adam, per side

Training stops after `n_iterations` batches of `episodes_per_batch` episodes; nothing is claimed about convergence.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from kofn.envs.arrays import integer, positive
from kofn.envs.observations import Observation
from kofn.experiments.integrations.requirements import not_installed
from kofn.experiments.integrations.torchrl import group_map, to_torchrl

try:
    import torch
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule, TensorDictSequential
    from torch import nn
    from torchrl.envs.utils import ExplorationType, set_exploration_type
    from torchrl.modules import MultiAgentMLP, ProbabilisticActor
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE
except ImportError:
    raise not_installed("torchrl") from None


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Settings of `train_ppo`.

    Args:
        centralised: whether critics see the state (MAPPO) or their agent's observation only (IPPO).
        n_iterations: batches of experience.
        episodes_per_batch: episodes per batch.
        n_epochs: passes over a batch.
        n_minibatches: gradient steps per pass.
        learning_rate: Adam's step.
        clip: PPO's epsilon.
        entropy: weight of the entropy bonus.
        gae_lambda: lambda of the advantage estimate.
        hidden: width of the two hidden layers.
    """

    centralised: bool = True
    n_iterations: int = 20
    episodes_per_batch: int = 5
    n_epochs: int = 6
    n_minibatches: int = 5
    learning_rate: float = 1e-3
    clip: float = 0.2
    entropy: float = 0.01
    gae_lambda: float = 0.9
    hidden: int = 64

    def __post_init__(self) -> None:
        """Validate."""
        for name in ("n_iterations", "episodes_per_batch", "n_epochs", "n_minibatches", "hidden"):
            integer(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip"):
            positive(name, getattr(self, name))
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"gae_lambda must be between 0 and 1; got {self.gae_lambda}")


@dataclass(frozen=True, eq=False, kw_only=True)
class PPOResult:
    """What `train_ppo` found.

    Args:
        actors: a side's actor, by group; reads (group, "observation"), writes (group, "action").
        groups: agents of each group.
        rewards: mean team reward per step of every batch.
        n_frames: environment steps taken.
        wall_time: seconds.
        config: the settings.
        converged: always False: PPO certifies nothing.
    """

    actors: Mapping[str, Any]
    groups: Mapping[str, list[str]]
    rewards: tuple[float, ...]
    n_frames: int
    wall_time: float
    config: PPOConfig
    converged: bool = False

    def predict(self, observations: Mapping[str, Observation], deterministic: bool = True) -> dict[str, int]:
        """Actions in the standard API; stochastic ones use torch's own random stream."""
        kind = ExplorationType.DETERMINISTIC if deterministic else ExplorationType.RANDOM
        actions: dict[str, int] = {}
        with torch.no_grad(), set_exploration_type(kind):
            for group, agents in self.groups.items():
                rows = torch.as_tensor(np.stack([observations[agent] for agent in agents]))
                seen = TensorDict({group: TensorDict({"observation": rows}, batch_size=[len(agents)])}, batch_size=[])
                actions.update(zip(agents, self.actors[group](seen)[group, "action"].tolist(), strict=True))
        return actions


def train_ppo(
    env: ParallelEnv[str, Observation, int],
    config: PPOConfig = PPOConfig(),  # frozen
    *,
    seed: int,
    on_iteration: Callable[[int, float], object] | None = None,
) -> PPOResult:
    """Train both sides at once; see the module.

    Args:
        env: a PopulationEnv with `obs_mode="box"`, possibly wrapped.
        config: the settings.
        seed: source of all randomness.
        on_iteration: called with the number of each batch and its mean reward per step.
    """
    began, rewards = time.perf_counter(), []
    with torch.random.fork_rng(devices=[]):  # torch's stream is the caller's again afterwards
        torch.manual_seed(seed)
        wrapped = to_torchrl(env, seed=seed)
        sides = {group: _Side(wrapped, group, env.unwrapped.discount, config) for group in wrapped.group_map}  # type: ignore[attr-defined]  # our environments have a discount
        policy = TensorDictSequential(*(side.actor for side in sides.values()))
        frames = config.episodes_per_batch * env.unwrapped.max_cycles  # type: ignore[attr-defined]  # as above
        for i in range(config.n_iterations):
            with torch.no_grad(), set_exploration_type(ExplorationType.RANDOM):
                batch = wrapped.rollout(frames, policy, break_when_any_done=False)
            rewards.append(float(batch["next", "global", "reward"].mean()))
            for side in sides.values():
                side.learn(batch)
            if on_iteration is not None:
                on_iteration(i, rewards[-1])
    return PPOResult(
        actors={group: side.actor for group, side in sides.items()},
        groups=group_map(env),
        rewards=tuple(rewards),
        n_frames=frames * config.n_iterations,
        wall_time=time.perf_counter() - began,
        config=config,
    )


class _StateValue(nn.Module):
    """V(state), the same for all agents of a side, [.., agent, 1]: a team has one value."""

    def __init__(self, width: int, n_agents: int, hidden: int) -> None:
        super().__init__()
        self.n_agents = n_agents
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, 1)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Values [.., agent, 1] of states [.., width]."""
        value: torch.Tensor = self.head(self.net(state))
        return value.unsqueeze(-2).expand(*state.shape[:-1], self.n_agents, 1)


class _Side:
    """Actor, critic, advantage and loss of one group."""

    def __init__(self, env: Any, group: str, discount: float, config: PPOConfig) -> None:
        self.config, self.group = config, group
        self.actor = _actor(env, group, config)
        critic = _critic(env, group, config)
        keys = {name: (group, name) for name in ("reward", "done", "terminated")}
        value = (group, "state_value")
        self._loss = ClipPPOLoss(self.actor, critic, clip_epsilon=config.clip, entropy_coeff=config.entropy)
        self._loss.set_keys(
            action=(group, "action"),
            sample_log_prob=(group, "action_log_prob"),
            value=value,
            advantage=(group, "advantage"),
            value_target=(group, "value_target"),
            **keys,
        )
        self._gae = GAE(gamma=discount, lmbda=config.gae_lambda, value_network=critic)
        self._gae.set_keys(value=value, advantage=(group, "advantage"), value_target=(group, "value_target"), **keys)
        self._optimiser = torch.optim.Adam(self._loss.parameters(), lr=config.learning_rate)

    def learn(self, batch: Any) -> None:
        """Some epochs of gradient steps on one batch [step]."""
        batch = batch.clone(recurse=False)
        with torch.no_grad():
            self._gae(batch)
            advantage = batch[self.group, "advantage"]
            batch[self.group, "advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        size = -(-len(batch) // self.config.n_minibatches)
        for _ in range(self.config.n_epochs):
            for part in torch.split(torch.randperm(len(batch)), size):
                losses = self._loss(batch[part])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                self._optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self._loss.parameters(), 0.5)
                self._optimiser.step()


def _network(env: Any, group: str, n_outputs: int, config: PPOConfig) -> MultiAgentMLP:
    """A network from an agent's observation, shared by the side's agents."""
    n_agents, width = env.observation_spec[group, "observation"].shape
    return MultiAgentMLP(
        width, n_outputs, n_agents, centralized=False, share_params=True, depth=2, num_cells=config.hidden
    )


def _actor(env: Any, group: str, config: PPOConfig) -> ProbabilisticActor:
    n_actions = env.full_action_spec_unbatched[group, "action"].space.n
    logits = TensorDictModule(
        _network(env, group, n_actions, config), in_keys=[(group, "observation")], out_keys=[(group, "logits")]
    )
    return ProbabilisticActor(
        logits,
        in_keys={"logits": (group, "logits")},
        out_keys=[(group, "action")],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
        log_prob_key=(group, "action_log_prob"),
    )


def _critic(env: Any, group: str, config: PPOConfig) -> TensorDictModule:
    if not config.centralised:
        net: nn.Module = _network(env, group, 1, config)
        return TensorDictModule(net, in_keys=[(group, "observation")], out_keys=[(group, "state_value")])
    net = _StateValue(env.observation_spec["state"].shape[-1], len(env.group_map[group]), config.hidden)
    return TensorDictModule(net, in_keys=["state"], out_keys=[(group, "state_value")])

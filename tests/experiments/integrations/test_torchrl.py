"""MAPPO and IPPO on TorchRL learn both sides of a plain game; arguments are checked."""

from typing import Any

import numpy as np
import pytest

from kofn.envs import PopulationEnv, TabularGame

torch = pytest.importorskip("torch")
pytest.importorskip("torchrl")

from kofn.experiments.integrations.torchrl import to_torchrl  # noqa: E402  # after the check above
from kofn.experiments.integrations.torchrl_ppo import PPOConfig, train_ppo  # noqa: E402  # likewise

H = 10


def plain_env() -> PopulationEnv:
    """s_g is drawn uniformly whatever is done; a_g = 1 - s_g pays 1 and a_l = s_g pays 1 to each local agent."""
    game = TabularGame(
        global_transition=np.full((2, 2, 2), 0.5),
        local_transition=np.full((1, 2, 2, 1), 1.0),
        global_reward=1 - np.eye(2),
        local_reward=np.eye(2)[None],
        discount=0.5,
    )
    return PopulationEnv(game, n_agents=2, max_cycles=H)


def config(centralised: bool, **changes: Any) -> PPOConfig:
    small = {"n_iterations": 7, "episodes_per_batch": 5, "n_minibatches": 2, "learning_rate": 3e-2, "hidden": 16}
    return PPOConfig(centralised=centralised, **{**small, **changes})


@pytest.mark.parametrize("centralised", [True, False], ids=["MAPPO", "IPPO"])
def test_both_sides_of_a_plain_game_are_learnt(centralised: bool) -> None:
    torch.set_num_threads(1)
    state, told = torch.random.get_rng_state(), []
    result = train_ppo(plain_env(), config(centralised), seed=0, on_iteration=lambda i, r: told.append((i, r)))
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's random stream is left alone"
    assert told == list(enumerate(result.rewards))
    assert result.n_frames == 7 * 5 * H
    assert not result.converged
    env = plain_env()
    observations, _ = env.reset(seed=1)
    while env.agents:
        s_g = int(env.simulator.global_states[0])
        played = result.predict(observations)
        assert played == {"global_0": 1 - s_g, "local_0": s_g, "local_1": s_g}
        observations, *_ = env.step(played)


def test_same_seed_same_training() -> None:
    short = config(True, n_iterations=2, episodes_per_batch=1)
    runs = [train_ppo(plain_env(), short, seed=seed).rewards for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: to_torchrl(plain_env(), seed=-1), ValueError, "seed must be at least 0; got -1"),
        (lambda: to_torchrl(plain_env(), seed=0.5), TypeError, r"seed must be an integer; got 0\.5"),
        (lambda: PPOConfig(n_epochs=0), ValueError, "n_epochs must be at least 1; got 0"),
        (lambda: PPOConfig(clip=-1.0), ValueError, "clip must be positive"),
        (lambda: PPOConfig(gae_lambda=2.0), ValueError, "gae_lambda must be between 0 and 1; got 2"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()

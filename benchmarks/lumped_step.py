"""The lumped step costs the same at any number of agents, and beats stepping agents one by one."""

from collections.abc import Callable

import numpy as np
from result import Figure
from timing import paired_seconds

from kofn.agents import evaluate
from kofn.envs import GlobalPolicy, IndividualSimulator, LocalPolicy, LumpedSimulator, Streams
from kofn.envs.population import count_states, sample_without_replacement
from kofn.envs.warehouse_dispatch import game

GAME = game()
K = 10


def lumped_stepper(n_agents: int) -> Callable[[], object]:
    """A call that steps one warehouse of n agents once."""
    simulator = LumpedSimulator(GAME, n_agents)
    simulator.reset(Streams.from_seed(0))
    policy = LocalPolicy.named("uniform", GAME).table
    action = np.zeros(1, dtype=np.int64)
    return lambda: simulator.step(action, policy)


def agent_by_agent_returns(n_agents: int, n_rollouts: int, horizon: int) -> float:
    """What `evaluate` computes, agent by agent: the plain implementation to compare with."""
    streams = Streams.from_seed(0)
    simulator = IndividualSimulator(GAME, n_agents, n_populations=n_rollouts)
    simulator.reset(streams)
    dispatcher, robots = GlobalPolicy.named("keep", GAME, K), LocalPolicy.named("uniform", GAME)
    total = 0.0
    for t in range(horizon):
        seen = sample_without_replacement(
            streams.sampling, count_states(simulator.local_states, GAME.n_local_states), K
        )
        robot_actions = robots.act(simulator.local_states, simulator.global_states[:, None], streams.policy)
        payment = simulator.step(dispatcher.act(simulator.global_states, seen), robot_actions)
        total += GAME.discount**t * float(payment.team_reward.mean())
    return total


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark."""
    rounds = 5 if quick else 25
    small, large, ratio = paired_seconds(lumped_stepper(10**3), lumped_stepper(10**9), calls=500, rounds=rounds)
    rollouts, horizon = (50, 20) if quick else (250, 50)
    dispatcher, robots = GlobalPolicy.named("keep", GAME, K), LocalPolicy.named("uniform", GAME)

    def lumped_evaluation(n_agents: int) -> Callable[[], object]:
        return lambda: evaluate(GAME, dispatcher, robots, n_agents, horizon=horizon, n_rollouts=rollouts, seed=0)

    fast, plain, gain = paired_seconds(
        lumped_evaluation(1000), lambda: agent_by_agent_returns(1000, rollouts, horizon), calls=3, rounds=9
    )
    return [
        Figure(
            name="lumped step, n=1e9 against n=1e3 (ratio)",
            value=ratio,
            limit=2.0,
            at_least=False,
            note=f"{small * 1e6:.0f} us at 1e3, {large * 1e6:.0f} us at 1e9",
        ),
        Figure(
            name="evaluation, agent by agent against lumped, n=1000 (ratio)",
            value=gain,
            limit=5.0,
            at_least=True,
            note=f"{rollouts} rollouts x {horizon} steps: {plain:.3f} s against {fast:.3f} s",
        ),
    ]

"""Agent-steps per second of other suites through their Python interfaces; run by an interpreter that has them.

The last line is a JSON object; what cannot be imported, or fails, is noted on standard error and left out. This file
uses nothing of kofn, so that the suites, whose pins conflict with ours and each other's, can live elsewhere.
"""

# ruff: noqa: PLC0415 - every suite is imported by the function that measures it

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

SECONDS = 2.0


def parallel_rate(env: Any) -> float:
    """A PettingZoo parallel environment under random actions, drawn beforehand."""
    env.reset(seed=0)
    drawn = {agent: [env.action_space(agent).sample() for _ in range(16)] for agent in env.possible_agents}
    steps, spent = 0, 0.0
    while spent < SECONDS:
        actions = {agent: drawn[agent][steps % 16] for agent in env.agents}
        began = time.process_time()
        env.step(actions)
        spent += time.process_time() - began
        steps += len(actions)
        if not env.agents:
            env.reset()
    return steps / spent


def mpe2() -> float:
    from mpe2 import simple_spread_v3

    return parallel_rate(simple_spread_v3.parallel_env(N=10, max_cycles=10**6))


def magent2() -> float:
    from magent2.environments import battle_v4

    return parallel_rate(battle_v4.parallel_env(map_size=45, max_cycles=10**6))


def beach() -> float:
    from momaland.envs.beach import mobeach_v0

    return parallel_rate(mobeach_v0.parallel_env(num_agents=100, num_timesteps=10**6))


def rware() -> float:
    import gymnasium
    import rware  # noqa: F401

    env = gymnasium.make("rware-medium-19ag-v2").unwrapped
    env.reset(seed=0)
    actions, steps, spent = [env.action_space.sample() for _ in range(16)], 0, 0.0
    while spent < SECONDS:
        began = time.process_time()
        done = env.step(actions[steps % 16])[2]
        spent += time.process_time() - began
        steps += 1
        if done:
            env.reset()
    return steps * 19 / spent


def vmas() -> float:
    import torch
    import vmas as library

    torch.set_num_threads(1)
    env = library.make_env(scenario="balance", num_envs=32_768, device="cpu", n_agents=3)
    env.reset()
    actions = [torch.zeros(32_768, 2) for _ in range(3)]
    steps, began = 0, time.process_time()
    while time.process_time() - began < 2 * SECONDS:
        env.step(actions)
        steps += 1
    return steps * 32_768 * 3 / (time.process_time() - began)


PEERS: dict[str, Callable[[], float]] = {
    "mpe2 simple_spread, n=10": mpe2,
    "RWARE, 19 robots": rware,
    "MOMAland beach, n=100": beach,
    "magent2 battle": magent2,
    "VMAS balance, 32,768 x 3 batched": vmas,
}


def main() -> None:
    warnings.simplefilter("ignore")
    rates = {}
    for name, measure in PEERS.items():
        try:
            rates[name] = measure()
        except Exception as error:  # whatever is wrong with a suite, the others are measured
            print(f"{name}: left out, {type(error).__name__}: {error}", file=sys.stderr)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()

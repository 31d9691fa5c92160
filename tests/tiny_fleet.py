"""The smallest problem of the fleet, for the files test_l_learn*.py."""

from collections.abc import Callable

from kofn.envs import GlobalPolicy, TabularGame

Games = Callable[..., TabularGame]
GlobalPolicies = Callable[..., GlobalPolicy]


def tiny(random_game: Games, random_global: GlobalPolicies, seed: int) -> tuple[TabularGame, GlobalPolicy]:
    """Two states and actions each, k = 2, a global policy that is deterministic for every other seed."""
    game = random_game(seed)
    return game, random_global(game, 2, seed, deterministic=seed % 2 == 0)

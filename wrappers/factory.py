"""What the registered ids build: a game's environment and, when `k` is given, its k-of-n limit."""

from collections.abc import Callable
from typing import Any

from pettingzoo import AECEnv, ParallelEnv

from kofn.envs.aec import to_aec
from kofn.envs.arrays import one_of
from kofn.envs.observations import SUMMARIES, Observation, Summary
from kofn.envs.registration import game_module
from kofn.wrappers.samplers import Sampler
from kofn.wrappers.subsample import SubsampleObservation


def make_parallel(
    *,
    game: str,
    k: int | None = None,
    summary: Summary = "histogram",
    sampler: Sampler | str = "uniform",
    **options: Any,
) -> ParallelEnv[str, Observation, int]:
    """The parallel environment of a registered game.

    Args:
        game: registered name.
        k: number of local agents the global agent sees each step; None: all of them.
        summary: what it sees of them, "histogram" or "states".
        sampler: how those k are drawn, see `kofn.wrappers.samplers`.
        options: arguments of the game module's `parallel_env`.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, a summary or sampler without k, or a
            global_view with it.
    """
    one_of("summary", summary, SUMMARIES)
    if k is None and summary != "histogram":
        raise ValueError(f"summary={summary!r} needs k; without k the global agent sees the histogram of all agents")
    if k is not None and "global_view" in options:
        raise ValueError(f"global_view must be left out with k, which limits the view; got {options['global_view']!r}")
    if k is None and sampler != "uniform":
        raise ValueError("sampler needs k; without k the global agent sees all agents")
    make: Callable[..., ParallelEnv[str, Observation, int]] = game_module(game).parallel_env
    if k is None:
        return make(**options)
    return SubsampleObservation(make(**options, global_view="none"), k, summary=summary, sampler=sampler)


def make_aec(**options: Any) -> AECEnv[str, Observation, int | None]:
    """The same as an AEC environment."""
    return to_aec(make_parallel(**options))

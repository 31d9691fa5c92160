"""One cell of a sweep: train a configuration, play what was learned, and say what was found in plain values.

Everything but the timing is a function of the configuration. Cells with the same seed are evaluated on the same random
numbers, whatever their learner or k, so that their differences are paired.
"""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kofn.agents import AlternatingResult
from kofn.agents.alternation.pairs import Pair
from kofn.envs.continuous import ContinuousGame
from kofn.envs.streams import child
from kofn.experiments.config import TrainConfig
from kofn.experiments.line_episode import LineTrajectory, line_mode_accuracy, record_line
from kofn.experiments.run_folder import Model
from kofn.experiments.sweeps.threads import threads_in_use, use_one_thread
from kofn.experiments.sweeps.warm_up import warm_up
from kofn.experiments.train import (
    ACCURACY_STREAM,
    TRAJECTORY_STREAM,
    bracket_gap,
    evaluate_pairs,
    outcome_of,
    possible_model,
)
from kofn.experiments.trajectory import Trajectory, global_state_is_place, mode_accuracy, record_rollout
from kofn.wrappers.continuous_episodes import is_continuous

ACCURACY_ROLLOUTS = 500

EPISODE_COLUMNS = ("global_state", "global_action", "counts")
"""Columns of a recorded episode; the third holds a list per step."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CellOutcome:
    """What a cell found, as JSON values.

    Attributes:
        row: its line in results.csv, without the settings; `return` and `standard_error` at least.
        timing: its line in timings.csv; the only part that differs between runs.
        history: one object per proposal.
        episode: one episode of the trained pair, column name -> values; empty where none was recorded.
    """

    row: dict[str, Any]
    timing: dict[str, Any]
    history: list[dict[str, Any]]
    episode: dict[str, Any]

    def __post_init__(self) -> None:
        """TypeError or ValueError for what tables and figures cannot be made of."""
        _check_line("row", self.row, numbers=("return", "standard_error"))
        _check_line("timing", self.timing)
        if not isinstance(self.history, list):
            raise TypeError(f"history must be a list; got {type(self.history).__name__}")
        for i, line in enumerate(self.history):
            _check_line(f"history[{i}]", line, ("player", "verdict"), ("step", "potential", "proposed_potential"))
        _check_episode(self.episode)


def _check_line(what: str, line: Any, texts: Sequence[str] = (), numbers: Sequence[str] = ()) -> None:
    """A line of a table: plain values, among them those that are read again."""
    if not isinstance(line, dict):
        raise TypeError(f"{what} must be an object; got {type(line).__name__}")
    for name, value in line.items():
        if not isinstance(value, str | int | float | None):
            raise TypeError(f"{what}[{name!r}] must be text, a number, true, false or null; got {value!r}")
    for name in (*texts, *numbers):
        if name not in line:
            raise ValueError(f"{what} must have {name!r}; it has {', '.join(line) or 'nothing'}")
        kind = str if name in texts else int | float
        if not isinstance(line[name], kind) or isinstance(line[name], bool):
            raise TypeError(f"{what}[{name!r}] must be {'text' if name in texts else 'a number'}; got {line[name]!r}")


def _check_episode(episode: Any) -> None:
    """Three columns of one length, or nothing."""
    if episode == {}:
        return
    if not isinstance(episode, dict) or any(not isinstance(episode.get(name), list) for name in EPISODE_COLUMNS):
        raise TypeError(
            f"episode must be empty or have the lists {', '.join(EPISODE_COLUMNS)}; got {str(episode)[:60]}"
        )
    lengths = {len(episode[name]) for name in EPISODE_COLUMNS}
    if len(lengths) > 1:
        raise ValueError(f"the lists of episode must be of one length; got {sorted(lengths)}")
    for i, counts in enumerate(episode["counts"]):
        if not isinstance(counts, list):
            raise TypeError(f"episode's counts[{i}] must be a list; got {counts!r}")


def run_cell(config: TrainConfig) -> CellOutcome:
    """Train, evaluate and measure one configuration."""
    warm_up(config.learner)
    began, began_cpu = time.perf_counter(), time.process_time()
    model = possible_model(config)
    first = (model.global_policy, model.local_policy) if is_continuous(config.game) else None
    result = outcome_of(model.learn())
    trained, trained_cpu = time.perf_counter(), time.process_time()
    row = {**_returns(model, config, result, first), **_accuracy(model), **_gap(model, config)}
    timing = {
        "train_seconds": trained - began,
        "train_cpu_seconds": trained_cpu - began_cpu,
        "evaluate_seconds": time.perf_counter() - trained,
        "threads": threads_in_use(),
        "worker": f"{socket.gethostname()}:{os.getpid()}",
    }
    return CellOutcome(row=row, timing=timing, history=_history(result), episode=_episode(model))


def run_in_worker(run: Any, config: TrainConfig) -> CellOutcome:
    """What a worker is asked to do."""
    use_one_thread()
    outcome: CellOutcome = run(config)
    return outcome


def _returns(model: Model, config: TrainConfig, result: AlternatingResult, first: Pair | None) -> dict[str, Any]:
    start, trained = evaluate_pairs(model, config, first)
    return {
        "return": trained.mean,
        "standard_error": trained.standard_error,
        "start_return": start.mean,
        "potential": result.potential,
        "n_proposals": result.n_iterations,
        "n_accepted": sum(proposal.verdict == "accept" for proposal in result.history),
        "converged": result.converged,
    }


def _accuracy(model: Model) -> dict[str, Any]:
    setting, seed = model.setting, child(model.seed, ACCURACY_STREAM)
    if isinstance(setting.game, ContinuousGame):
        return {"mode_accuracy": line_mode_accuracy(model, ACCURACY_ROLLOUTS, seed)}
    if not has_tables(setting.game) or not global_state_is_place(setting.game):
        return {"mode_accuracy": None}
    accuracy = mode_accuracy(
        setting.game,
        model.global_policy,
        model.local_policy,
        setting.n_agents,
        horizon=setting.max_cycles,
        n_rollouts=ACCURACY_ROLLOUTS,
        seed=seed,
    )
    return {"mode_accuracy": accuracy}


def _gap(model: Model, config: TrainConfig) -> dict[str, Any]:
    if not config.nash_gap:
        return {"gap_lower": None, "gap_upper": None}
    gap = bracket_gap(model)
    return {"gap_lower": gap.lower, "gap_upper": gap.upper}


def _history(result: AlternatingResult) -> list[dict[str, Any]]:
    return [
        {
            "step": proposal.step,
            "player": proposal.player,
            "potential": proposal.potential,
            "proposed_potential": proposal.proposed_potential,
            "standard_error": proposal.standard_error,
            "verdict": proposal.verdict,
        }
        for proposal in result.history
    ]


def has_tables(game: Any) -> bool:
    """Whether a game's states are finitely many and have names."""
    return hasattr(game, "labels")


def _episode(model: Model) -> dict[str, Any]:
    """One episode of the trained pair, with counts by local state, or by place where states are continuous."""
    setting, seed = model.setting, child(model.seed, TRAJECTORY_STREAM)
    trajectory: Trajectory | LineTrajectory
    if isinstance(setting.game, ContinuousGame):
        trajectory = record_line(model, seed)
    elif has_tables(setting.game):
        pair = model.global_policy, model.local_policy
        trajectory = record_rollout(setting.game, *pair, setting.n_agents, horizon=setting.max_cycles, seed=seed)
    else:
        return {}
    columns = trajectory.global_states, trajectory.global_actions, trajectory.counts
    return {name: column.tolist() for name, column in zip(EPISODE_COLUMNS, columns, strict=True)}

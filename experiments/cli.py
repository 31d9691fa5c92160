"""The command line: `kofn train`, `sweep`, `plot`, `report`, `reproduce`, `evaluate`, `envs`."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from typing import Annotated, Any, cast

import tyro

from kofn.agents import AlternatingMARL, Proposal, evaluate_sampled
from kofn.agents.line_evaluation import evaluate_line
from kofn.envs import GAMES, game_id
from kofn.envs.continuous import ContinuousGame
from kofn.envs.registration import default_sizes, registered_game
from kofn.envs.simulator import LocalTiming
from kofn.experiments import sweep_command
from kofn.experiments.config import (
    DEEP_LEARNERS,
    EnvsConfig,
    EvaluateConfig,
    PlotConfig,
    ReportConfig,
    ReproduceConfig,
    SweepConfig,
    TrainConfig,
    going_on,
)
from kofn.experiments.interrupts import sigterm_as_ctrl_c
from kofn.experiments.plots.redraw import redraw
from kofn.experiments.report import write_report
from kofn.experiments.reproduce import reproduce
from kofn.experiments.run_game import load_run
from kofn.experiments.sweep_command import run_sweep
from kofn.experiments.sweeps.executors import backend_executor
from kofn.experiments.tables import (
    EVALUATION_HEADER,
    equilibria_table,
    evaluation_row,
    gain_table,
    history_table,
    outcome_lines,
    text_table,
)
from kofn.experiments.train import train

Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[SweepConfig, tyro.conf.subcommand("sweep")]
    | Annotated[PlotConfig, tyro.conf.subcommand("plot")]
    | Annotated[ReportConfig, tyro.conf.subcommand("report")]
    | Annotated[ReproduceConfig, tyro.conf.subcommand("reproduce")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[EnvsConfig, tyro.conf.subcommand("envs")]
)

AnyConfig = TrainConfig | SweepConfig | PlotConfig | ReportConfig | ReproduceConfig | EvaluateConfig | EnvsConfig

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

NOBODY_READS = 141
"""Exit status after the reader of a pipe ended, as shells have it."""

REFUSED = (
    *(FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError),
    *(ImportError, MemoryError, TypeError, ValueError),
)
"""What a wrong argument or a damaged file raises."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    config: AnyConfig | None = None
    try:
        config = tyro.cli(
            cast("type[AnyConfig]", Command),
            args=arguments,
            prog="kofn",
            description="Games in which one global agent steers n local agents while seeing only k of them.",
        )
        status = _run(config)
        sys.stdout.flush()  # a closed pipe is met here, not when the interpreter ends
        return status
    except KeyboardInterrupt:  # of commands that have nothing to go on with
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes there
        return NOBODY_READS
    except REFUSED as error:
        print(f"kofn: error: {error}", file=sys.stderr)
        return 2
    except BrokenExecutor as error:
        print(f"kofn: error: {error}; fewer --workers have more memory each: {_again(config)}", file=sys.stderr)
        return 1
    except OSError as error:
        full = f"no room to write ({error}); what is finished is kept: free some space and {_again(config)}"
        print(f"kofn: error: {full if error.errno in FULL else error}", file=sys.stderr)
        return 1


def _again(config: AnyConfig | None) -> str:
    """How to go on after an error that is not the command's."""
    return going_on(config) if isinstance(config, TrainConfig | SweepConfig) else "run the same command again"


def _run(config: AnyConfig) -> int:
    commands: dict[type, Callable[[Any], int]] = {
        TrainConfig: _train,
        SweepConfig: _sweep,
        PlotConfig: _plot,
        ReportConfig: _report,
        ReproduceConfig: _reproduce,
        EvaluateConfig: _evaluate,
        EnvsConfig: _envs,
    }
    return commands[type(config)](config)


def _train(config: TrainConfig) -> int:
    try:
        with sigterm_as_ctrl_c():
            outcome = train(config, on_proposal=None if sys.stderr.isatty() else _print_proposal)
    except KeyboardInterrupt:
        said = f"{going_on(config)} to go on ({game_id(config.game)}, seed {config.seed})"
        print(f"\ninterrupted; every finished proposal is saved: {said}", file=sys.stderr)
        return INTERRUPTED
    name = "start" if config.learner in DEEP_LEARNERS else "start (keep, uniform)"
    start = evaluation_row(name, outcome.start)
    print(history_table(outcome.result.history))
    print()
    print(text_table(EVALUATION_HEADER, [start, evaluation_row("trained", outcome.trained)]))
    print()
    print(outcome_lines(outcome.result))
    if outcome.equilibria:
        print(f"\n{equilibria_table(outcome.equilibria)}\nkept: {outcome.best}\n")
    if outcome.split is not None:
        print(f"{gain_table(outcome.split)}\n")
    if outcome.gap is not None:
        print(f"Nash gap: either player could gain between {outcome.gap.lower:.3g} and {outcome.gap.upper:.3g}")
    print(f"written to {outcome.folder}: policies, history.csv, evaluation.csv, potential.png, occupancy.png")
    return 0


def _sweep(config: SweepConfig) -> int:
    try:
        with sigterm_as_ctrl_c():
            result = run_sweep(config)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {sweep_command.resume_hint(config)}", file=sys.stderr)
        return INTERRUPTED
    print(sweep_command.outcome_lines(config, result))
    return 1 if result.failures else 0


def _reproduce(config: ReproduceConfig) -> int:
    try:
        written = reproduce(config, backend_executor(config.backend, config.scheduler, config.workers))
    except KeyboardInterrupt:
        print("\ninterrupted; finished cells are saved: the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except RuntimeError as error:  # cells that failed
        print(f"kofn: error: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    return 0


def _report(config: ReportConfig) -> int:
    print(write_report(config.run))
    return 0


def _plot(config: PlotConfig) -> int:
    for path in redraw(config.run):
        print(path)
    return 0


def _print_proposal(proposal: Proposal) -> None:
    """Progress where there is no terminal for a bar."""
    print(
        f"proposal {proposal.step} ({proposal.player}): {proposal.potential:.2f} -> {proposal.proposed_potential:.2f}, "
        f"{proposal.verdict}",
        file=sys.stderr,
        flush=True,
    )


def _evaluate(config: EvaluateConfig) -> int:
    model = load_run(config.run)
    setting = model.setting
    if isinstance(setting.game, ContinuousGame):
        return _evaluate_continuous(model, config)
    evaluation = evaluate_sampled(
        setting.game,
        model.global_policy,
        model.local_policy,
        config.n_agents if config.n_agents is not None else setting.n_agents,
        setting.sampler,
        horizon=config.horizon if config.horizon is not None else setting.max_cycles,
        n_rollouts=config.n_rollouts,
        seed=config.seed,
        local_timing=cast("LocalTiming", config.local_timing),
    )
    print(text_table(EVALUATION_HEADER, [evaluation_row(str(config.run), evaluation)]))
    return 0


def _evaluate_continuous(model: AlternatingMARL, config: EvaluateConfig) -> int:
    setting = model.setting
    if config.local_timing != "paper":
        raise ValueError(f"local_timing must be 'paper' in a game with continuous states; got {config.local_timing!r}")
    evaluation = evaluate_line(
        setting.game,
        model.global_policy,
        model.local_policy,
        config.n_agents if config.n_agents is not None else setting.n_agents,
        horizon=config.horizon if config.horizon is not None else setting.max_cycles,
        n_rollouts=config.n_rollouts,
        seed=config.seed,
    )
    print(text_table(EVALUATION_HEADER, [evaluation_row(str(config.run), evaluation)]))
    return 0


def _envs(_: EnvsConfig) -> int:
    rows = []
    for name in GAMES:
        game, defaults = registered_game(name), default_sizes(name)
        assert defaults is not None  # a registered name
        finite = hasattr(game, "n_local_states")
        states = f"{game.n_global_states} / {game.n_local_states}" if finite else "continuous"
        actions = f"{game.n_global_actions} / {game.n_local_actions}"
        sizes = [str(size) for size in (defaults.n_agents, defaults.k, defaults.max_cycles)]
        rows.append([name, game_id(name), states, actions, *sizes, f"{game.discount}"])
    header = ["game", "id", "states g/l", "actions g/l", "n", "k", "max_cycles", "discount"]
    print(text_table(header, rows))
    return 0

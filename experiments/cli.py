"""The command line: `kofn train GAME`, `kofn evaluate RUN`, `kofn envs`."""

import sys
from collections.abc import Sequence
from typing import Annotated, cast

import tyro

from kofn.agents import AlternatingMARL, Proposal, evaluate_sampled
from kofn.envs import GAMES, game_id
from kofn.envs.registration import default_sizes, registered_game
from kofn.envs.simulator import LocalTiming
from kofn.experiments.config import EnvsConfig, EvaluateConfig, TrainConfig
from kofn.experiments.tables import EVALUATION_HEADER, evaluation_row, history_table, outcome_lines, text_table
from kofn.experiments.train import resume_hint, train

Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[EnvsConfig, tyro.conf.subcommand("envs")]
)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        config = tyro.cli(
            cast("type[TrainConfig | EvaluateConfig | EnvsConfig]", Command),
            args=arguments,
            prog="kofn",
            description="Games in which one global agent steers n local agents while seeing only k of them.",
        )
        return _run(config)
    except (FileExistsError, FileNotFoundError, MemoryError, TypeError, ValueError) as error:
        print(f"kofn: error: {error}", file=sys.stderr)
        return 2


def _run(config: TrainConfig | EvaluateConfig | EnvsConfig) -> int:
    if isinstance(config, TrainConfig):
        return _train(config)
    if isinstance(config, EvaluateConfig):
        return _evaluate(config)
    return _envs()


def _train(config: TrainConfig) -> int:
    try:
        outcome = train(config, on_proposal=None if sys.stderr.isatty() else _print_proposal)
    except KeyboardInterrupt:
        print(f"\ninterrupted; every finished proposal is saved: {resume_hint(config)}", file=sys.stderr)
        return INTERRUPTED
    start = evaluation_row("start (keep, uniform)", outcome.start)
    print(history_table(outcome.result.history))
    print()
    print(text_table(EVALUATION_HEADER, [start, evaluation_row("trained", outcome.trained)]))
    print()
    print(outcome_lines(outcome.result))
    print(f"written to {outcome.folder}: policies, history.csv, evaluation.csv, potential.png, occupancy.png")
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
    model = AlternatingMARL.load(config.run)
    setting = model.setting
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


def _envs() -> int:
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

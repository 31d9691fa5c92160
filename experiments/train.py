"""`kofn train`: one run of ALTERNATING-MARL, written to a folder that can be resumed and looked at.

| file | content |
|---|---|
| `config.json`, `history.csv`, `game.npz`, `*_policy.npz` | the model (`AlternatingMARL.load`) |
| `equilibria.csv`, `starts/` | where every start ended (observation_aware), each with a model's folder of its own |
| `gain.csv` | what dispatcher, fleet and choice of equilibrium gain over the paper's method (observation_aware) |
| `evaluation.csv` | discounted return of the start and the trained pair, on seeds of its own |
| `trajectory.csv` | one episode of the trained pair |
| `game.txt` | the game's registered name, and its options |
| `nash_gap.csv` | with `--nash-gap`: what either player could still gain, at least and at most |
| `potential.png`, `occupancy.png` | potential per proposal; where the agents were |
| `tensorboard/` | the proposals once more, where TensorBoard is installed |

All of them are in `kofn.experiments.folders.FILES`; a `.lock` keeps out a second process.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kofn.agents import (
    AlternatingConfig,
    AlternatingMARL,
    AlternatingResult,
    Equilibrium,
    Evaluation,
    GainSplit,
    GLearner,
    LLearner,
    MultiStart,
    MultiStartResult,
    NashGap,
    Proposal,
    evaluate,
    nash_gap,
    split_gain,
)
from kofn.agents.alternation.pairs import Pair, fitting_global, fitting_local
from kofn.agents.equilibrium.nash import check_bracketed
from kofn.envs.arrays import FloatArray
from kofn.envs.continuous import ContinuousGame
from kofn.envs.files import write_text
from kofn.envs.game import TabularGame
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.registration import default_sizes, registered_game
from kofn.envs.streams import child
from kofn.experiments.config import DEEP_LEARNERS, TrainConfig
from kofn.experiments.csv_files import write_evaluations, write_rows
from kofn.experiments.figures import occupancy_figure, potential_figure, save_figure
from kofn.experiments.folders import claim
from kofn.experiments.run_folder import Model, default_folder, open_folder
from kofn.experiments.run_game import make_env, note_game
from kofn.experiments.sweeps.lock import folder_lock
from kofn.experiments.tracking import proposal_log, trackers, wandb
from kofn.experiments.train_continuous import build_continuous, draw_continuous, evaluate_pair
from kofn.experiments.trajectory import record_rollout, trajectory_csv
from kofn.wrappers.continuous_episodes import is_continuous

REPORT_STREAM, TRAJECTORY_STREAM, ACCURACY_STREAM, GAP_STREAM = range(100, 104)
"""Streams of the run's seed that the driver does not use."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainOutcome:
    """What a run found.

    Attributes:
        folder: the run folder.
        result: outcome of the alternation.
        start: evaluation of the start pair (keep, uniform).
        trained: evaluation of the final pair, on the same random numbers.
        gap: bracket of the Nash gap, where it was asked for.
        equilibria: where every start ended (observation_aware).
        best: the start kept (observation_aware).
        split: where the gain over the paper's method comes from (observation_aware).
    """

    folder: Path
    result: AlternatingResult
    start: Evaluation
    trained: Evaluation
    gap: NashGap | None
    equilibria: tuple[Equilibrium, ...] = ()
    best: str = ""
    split: GainSplit | None = None


def train(config: TrainConfig, on_proposal: Callable[[Proposal], None] | None = None) -> TrainOutcome:
    """Train, evaluate and draw; every proposal is on disk when `on_proposal` is called with it.

    Raises:
        FileExistsError: the folder holds a run and neither resume nor overwrite was asked for, or it is no run's.
        BlockingIOError: another process is writing to the folder.
        TypeError, ValueError: a setting out of range, or a folder whose run had other settings.
    """
    if config.track is not None:
        wandb()  # refuse before anything is written
    model = possible_model(config)
    folder = config.folder if config.folder is not None else default_folder(config, model)
    claim(folder, "train")  # before anything is written to a folder of others
    with folder_lock(folder):
        return _train(model, folder, config, on_proposal)


def _train(
    model: Model, folder: Path, config: TrainConfig, on_proposal: Callable[[Proposal], None] | None
) -> TrainOutcome:
    first = (model.global_policy, model.local_policy) if is_continuous(config.game) else None
    model = open_folder(model, folder, config)
    note_game(folder, config)
    model.save(folder)
    record = trackers(folder, "", model.description(), project=config.track)
    log = proposal_log(record)

    def keep(proposal: Proposal) -> None:
        model.save(folder)
        log(proposal)
        if on_proposal is not None:
            on_proposal(proposal)

    try:
        learned = model.learn(progress_bar=config.progress_bar, on_proposal=keep)
    finally:
        for tracker in record:
            tracker.close()
    model.save(folder)
    start, trained = evaluate_pairs(model, config, first)
    write_evaluations(folder, start, trained)
    gap = bracket_gap(model) if config.nash_gap else None
    if gap is not None:
        write_text(folder / "nash_gap.csv", f"lower,upper\n{gap.lower!r},{gap.upper!r}\n")
    _draw(model, folder)
    outcome = TrainOutcome(folder=folder, result=outcome_of(learned), start=start, trained=trained, gap=gap)
    if not isinstance(learned, MultiStartResult):
        return outcome
    assert isinstance(model, MultiStart)  # as its result says
    split = split_gain(model, partial(_returns, model, config))
    write_rows(folder / "gain.csv", ["what", "mean", "standard_error"], split.rows())
    return replace(outcome, equilibria=learned.equilibria, best=learned.best, split=split)


def outcome_of(learned: AlternatingResult | MultiStartResult) -> AlternatingResult:
    """The alternation that led to the pair kept."""
    return learned.outcome if isinstance(learned, MultiStartResult) else learned


def bracket_gap(model: Model) -> NashGap:
    """What either player could still gain by deviating from the trained pair."""
    setting = model.setting
    pair = model.global_policy, model.local_policy
    seed = child(model.seed, GAP_STREAM)
    return nash_gap(setting.game, *pair, n_agents=setting.n_agents, tagged=False, seed=seed)


def possible_model(config: TrainConfig) -> Model:
    """The untrained model, once what would only be refused after its training is known to be possible.

    Raises:
        TypeError, ValueError: a setting out of range, or a Nash gap that is not to be had in this game.
    """
    model = build_model(config)
    if config.nash_gap:
        game, n_agents = model.setting.game, model.setting.n_agents
        if not isinstance(game, TabularGame):
            raise TypeError(f"nash_gap needs a TabularGame; got {type(game).__name__}: leave out --nash-gap")
        check_bracketed(game, n_agents)
    return model


def build_model(config: TrainConfig) -> Model:
    """The untrained model of a configuration."""
    sizes = resolved(config)
    if config.learner in DEEP_LEARNERS:
        return build_continuous(sizes)
    if is_continuous(config.game):
        raise ValueError(f"{config.game} has continuous states: choose --learner {', '.join(DEEP_LEARNERS)}")
    env = make_env(sizes)
    global_learner, local_learner = config.global_learner, config.local_learner
    if config.learner == "observation_aware":
        given = (global_learner, local_learner)
        paper = given if given != (GLearner(), LLearner()) else None
        alternation = config.alternation if config.alternation != AlternatingConfig() else None
        return MultiStart(env, alternation, global_learner=config.aware, paper_learners=paper, seed=config.seed)
    if config.learner == "mean_field":
        global_learner = replace(global_learner, operator="rounded")
        local_learner = replace(local_learner, method="mean_field")
    return AlternatingMARL(
        env,
        config.alternation,
        global_learner=global_learner,
        local_learner=local_learner,
        seed=config.seed,
    )


def resolved(config: TrainConfig) -> TrainConfig:
    """The configuration with the game's default sizes where it names none.

    Raises:
        TypeError, ValueError: an unknown game, or options that it does not take.
    """
    defaults = default_sizes(config.game)
    assert defaults is not None  # a registered name
    if config.options:
        registered_game(config.game, **config.options)
    return replace(
        config,
        k=config.k if config.k is not None else defaults.k,
        n_agents=config.n_agents if config.n_agents is not None else defaults.n_agents,
        max_cycles=config.max_cycles if config.max_cycles is not None else defaults.max_cycles,
    )


def evaluate_pairs(model: Model, config: TrainConfig, first: Pair | None = None) -> tuple[Evaluation, Evaluation]:
    """Evaluate a start pair and the trained pair on the same, fresh random numbers.

    In a finite game the start is (keep, uniform); of networks it is the `first` pair (None: uniform networks).
    """
    setting = model.setting
    if isinstance(setting.game, ContinuousGame):
        seed = child(model.seed, REPORT_STREAM)
        if first is None:
            first = fitting_global(None, setting, seed), fitting_local("uniform", setting, seed)
        pairs = (first, (model.global_policy, model.local_policy))
        start, trained = (evaluate_pair(model, pair, config.n_rollouts, seed) for pair in pairs)
        return start, trained

    keep = GlobalPolicy.named("keep", setting.game, setting.k)
    uniform = LocalPolicy.named("uniform", setting.game)
    trained = _evaluation(model, config, model.global_policy, model.local_policy)
    return _evaluation(model, config, keep, uniform), trained


def _evaluation(
    model: Model, config: TrainConfig, global_policy: GlobalPolicy, local_policy: LocalPolicy
) -> Evaluation:
    """A pair's evaluation over an episode's length, on the same random numbers for every pair."""
    setting = model.setting
    return evaluate(
        setting.game,
        global_policy,
        local_policy,
        setting.n_agents,
        horizon=setting.max_cycles,
        n_rollouts=config.n_rollouts,
        seed=child(model.seed, REPORT_STREAM),
    )


def _returns(model: Model, config: TrainConfig, global_policy: GlobalPolicy, local_policy: LocalPolicy) -> FloatArray:
    return _evaluation(model, config, global_policy, local_policy).returns


def _draw(model: Model, folder: Path) -> None:
    """The two figures, and the episode behind the second."""
    setting = model.setting
    game = setting.game
    if isinstance(game, ContinuousGame):
        draw_continuous(model, folder, child(model.seed, TRAJECTORY_STREAM))
        return
    trajectory = record_rollout(
        game,
        model.global_policy,
        model.local_policy,
        setting.n_agents,
        horizon=setting.max_cycles,
        seed=child(model.seed, TRAJECTORY_STREAM),
    )
    write_text(folder / "trajectory.csv", trajectory_csv(trajectory, game))
    title = f"{game.labels.title}, n = {setting.n_agents}, k = {setting.k}"
    save_figure(potential_figure(model.history, title), folder / "potential.png")
    save_figure(occupancy_figure(trajectory, game, title), folder / "occupancy.png")

"""Coverage-guided fuzzing of everything that reads a file: python tests/trust/fuzz_loaders.py [-max_total_time=600]

Needs atheris (pip install atheris) and the extra `deep`. Inputs start from valid files; a loader may raise ValueError,
which is what a damaged file is refused with, and nothing else. libFuzzer prints the number of inputs tried and stores
one that fails; every 20,000 inputs a line per loader says how many it had, and how many of them it read.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import atheris
import numpy as np

with atheris.instrument_imports(include=["kofn", "zipfile", "json", "csv", "safetensors"]):
    from kofn.agents import AlternatingConfig, AlternatingMARL, Transitions, collect_transitions
    from kofn.agents.alternation.model_files import read_history
    from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
    from kofn.envs.files import naming_damage, write_text
    from kofn.envs.formation import game as formation
    from kofn.envs.line_policies import MlpGlobalPolicy, MlpLocalPolicy, uniform_layers
    from kofn.experiments.config import TrainConfig
    from kofn.experiments.plots.data import read_csv
    from kofn.experiments.plots.redraw import read_tables, read_trajectory
    from kofn.experiments.report import results_table
    from kofn.experiments.run_game import load_run
    from kofn.experiments.sweeps.cells import CellOutcome
    from kofn.experiments.sweeps.folder import read_cells, read_sweep, start_sweep, write_cell, write_tables
    from kofn.experiments.sweeps.grid import cell_hash, describe
    from kofn.experiments.trajectory import record_rollout, trajectory_csv
    from kofn.wrappers import SubsampleObservation

GAME = formation()


@dataclass(frozen=True, kw_only=True)
class Target:
    """A valid file, and what reads it (and the files beside it)."""

    file: Path
    load: Callable[[Path], Any]


def in_words(path: Path, load: Callable[[], Any]) -> Any:
    """As the commands read tables: whatever their cells hold, the error names the file."""
    with naming_damage(path):
        return load()


def single_files(root: Path) -> list[Target]:
    """Games, policies as tables and as networks, logs: files that stand alone."""
    rng = np.random.default_rng(0)
    pi_g, pi_l = GlobalPolicy.named("keep", GAME, 1), LocalPolicy.named("stay", GAME)
    mlp_g = MlpGlobalPolicy(layers=uniform_layers(3, 2, (4,), rng), k=2)
    mlp_l = MlpLocalPolicy(layers=uniform_layers(2, 2, (4,), rng))
    log = collect_transitions(SubsampleObservation(PopulationEnv(GAME, 3), k=2), n_steps=5, seed=0)
    writers: list[tuple[str, Callable[[Path], None], Callable[[Path], Any]]] = [
        ("game.npz", GAME.save, TabularGame.load),
        ("global.npz", pi_g.save, GlobalPolicy.load),
        ("global.json", pi_g.save, GlobalPolicy.load),
        ("local.npz", pi_l.save, LocalPolicy.load),
        ("local.json", pi_l.save, LocalPolicy.load),
        ("network_global.npz", mlp_g.save, MlpGlobalPolicy.load),
        ("network_global.safetensors", mlp_g.save, MlpGlobalPolicy.load),
        ("network_local.npz", mlp_l.save, MlpLocalPolicy.load),
        ("network_local.safetensors", mlp_l.save, MlpLocalPolicy.load),
        ("log.npz", log.save, Transitions.load),
    ]
    for name, write, _ in writers:
        write(root / name)
    return [Target(file=root / name, load=load) for name, _, load in writers]


def run_files(root: Path) -> list[Target]:
    """The files of a trained run."""
    folder = root / "run"
    env = SubsampleObservation(PopulationEnv(GAME, 3, max_cycles=5), k=1)
    config = AlternatingConfig(eta=1.0, horizon=3, n_rollouts=2, max_alternations=1)
    model = AlternatingMARL(env, config, seed=0)
    model.learn()
    model.save(folder)
    pair = model.global_policy, model.local_policy
    episode = record_rollout(GAME, *pair, 3, horizon=5, seed=np.random.SeedSequence(0))
    write_text(folder / "trajectory.csv", trajectory_csv(episode, GAME))
    write_text(folder / "game.txt", "cluster_line")
    readers: dict[str, Callable[[Path], Any]] = {
        "config.json": lambda path: AlternatingMARL.load(path.parent),
        "history.csv": read_history,
        "game.npz": lambda path: AlternatingMARL.load(path.parent),
        "global_policy.npz": lambda path: AlternatingMARL.load(path.parent),
        "trajectory.csv": lambda path: in_words(path, lambda: read_trajectory(read_csv(path))),
        "game.txt": lambda path: load_run(path.parent),
    }
    return [Target(file=folder / name, load=load) for name, load in readers.items()]


def sweep_files(root: Path) -> list[Target]:
    """The files of a sweep with one finished cell."""
    folder = root / "sweep"
    description = describe(TrainConfig(game="formation", k=1))
    name = cell_hash(description)
    row = {"return": 1.0, "standard_error": 0.1, "start_return": 0.5, "gap_lower": None, "gap_upper": None}
    proposal = {"step": 1, "player": "global", "potential": 1.0, "proposed_potential": 2.0, "verdict": "accept"}
    outcome = CellOutcome(row=row, timing={"train_seconds": 1.0}, history=[proposal], episode={})
    start_sweep(folder, {name: description}, resume=False, overwrite=False)
    write_cell(folder, name, outcome)
    write_tables(folder, {name: description}, {name: outcome})
    readers: dict[str, Callable[[Path], Any]] = {
        "sweep.json": lambda path: read_cells(path.parent, read_sweep(path.parent)),
        f"cells/{name}.json": lambda path: read_cells(path.parent.parent, [name]),
        "results.csv": lambda path: in_words(path, lambda: results_table(read_tables(path.parent).results)),
        "history.csv": read_csv,
    }
    return [Target(file=folder / file, load=load) for file, load in readers.items()]


def main() -> None:
    """Fuzz until libFuzzer's own arguments say stop."""
    root = Path(tempfile.mkdtemp())
    corpus = root / "corpus"
    corpus.mkdir()
    targets = [*single_files(root), *run_files(root), *sweep_files(root)]
    whole = [target.file.read_bytes() for target in targets]
    for number, content in enumerate(whole):
        (corpus / f"seed{number}").write_bytes(bytes([number]) + content)
    tried: Counter[str] = Counter()
    read: Counter[str] = Counter()

    def try_one(data: bytes) -> None:
        if not data:
            return
        number = data[0] % len(targets)
        target = targets[number]
        name = str(target.file.relative_to(root))
        tried[name] += 1
        target.file.write_bytes(data[1:])
        try:
            target.load(target.file)
            read[name] += 1
        except ValueError:
            pass
        finally:
            target.file.write_bytes(whole[number])
        if tried.total() % 20_000 == 0:
            print("\n".join(f"{name}: {tried[name]} inputs, {read[name]} read" for name in sorted(tried)), flush=True)

    atheris.Setup([*sys.argv, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

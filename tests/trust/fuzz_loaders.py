"""Coverage-guided fuzzing of everything that reads a file: python tests/trust/fuzz_loaders.py [-runs=100000]

Needs atheris (pip install atheris). Inputs start from valid files; a loader may raise ValueError, which is what a
damaged file is refused with, and nothing else. libFuzzer prints the number of inputs tried and stores one that fails.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kofn", "zipfile", "json", "csv"]):
    from kofn.agents.alternation.model_files import read_history
    from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame
    from kofn.envs.formation import game as formation

Loader = Callable[[Path], object]
LOADERS: dict[str, tuple[Loader, str]] = {
    "game": (TabularGame.load, ".npz"),
    "global policy": (GlobalPolicy.load, ".npz"),
    "global policy as text": (GlobalPolicy.load, ".json"),
    "local policy": (LocalPolicy.load, ".npz"),
    "local policy as text": (LocalPolicy.load, ".json"),
    "history": (read_history, ".csv"),
}


def write_corpus(folder: Path) -> None:
    """Valid files, each behind a byte that names its loader."""
    game = formation()
    policies = GlobalPolicy.named("keep", game, 1), LocalPolicy.named("stay", game)
    writers = {"game": game.save, "global policy": policies[0].save, "local policy": policies[1].save}
    for number, (name, (_, suffix)) in enumerate(LOADERS.items()):
        path = folder / f"whole{suffix}"
        if name.removesuffix(" as text") in writers:
            writers[name.removesuffix(" as text")](path)
        else:
            path.write_text("step,player,potential\n1,global,0.5\n")
        (folder / f"seed{number}").write_bytes(bytes([number]) + path.read_bytes())
        path.unlink()


def main() -> None:
    """Fuzz until libFuzzer's own arguments say stop."""
    folder = Path(tempfile.mkdtemp())
    corpus = folder / "corpus"
    corpus.mkdir()
    write_corpus(corpus)
    entries = list(LOADERS.values())

    def try_one(data: bytes) -> None:
        if not data:
            return
        loader, suffix = entries[data[0] % len(entries)]
        path = folder / f"input{suffix}"
        path.write_bytes(data[1:])
        try:
            loader(path)
        except ValueError:
            return

    atheris.Setup([*sys.argv, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

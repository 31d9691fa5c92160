"""Malformed command lines and damaged run folders: exit status 2 and words on stderr, never a traceback or a hang."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from trust.killed_run import run

from kofn.experiments.cli import main
from kofn.experiments.plots import save

NUMBERS = ("", "x", "nan", "inf", "1.5", "-1", "1e3", "0x10", "9" * 30, "9" * 5000, "None")
NAMES = ("", "warehouse", "../warehouse_dispatch", "warehouse_dispatch/..", "WAREHOUSE_DISPATCH", "\x00", "game", "-1")
OPTIONS = {
    "train formation": {
        "--k": (*NUMBERS[:-1], "0", "200"),
        "--n-agents": (*NUMBERS[:-1], "0"),
        "--max-cycles": (*NUMBERS[:-1], "0"),
        "--seed": NUMBERS[:7],
        "--n-rollouts": (*NUMBERS, "0", "1"),
        "--learner": NAMES,
        "--alternation.eta": ("", "x", "nan", "inf", "-1", "0"),
        "--alternation.evaluation": NAMES,
        "--no-such-option": ("1",),
    },
    "sweep formation": {
        "--k": (*NUMBERS, "0"),
        "--seeds": (*NUMBERS, "0"),
        "--learner": NAMES,
        "--backend": NAMES,
        "--vary": ("", "=", "eta", "alternation.no_such=1", "alternation.eta=x", "__class__=1", "game=1"),
        "--workers": ("", "x", "1.5", "-1", "0"),
    },
    "evaluate no_such_run": {"--n-agents": NUMBERS[:7], "--horizon": NUMBERS[:7], "--local-timing": NAMES},
}
LINES = [
    *(
        [*command.split(), option, value]
        for command, options in OPTIONS.items()
        for option in options
        for value in options[option]
    ),
    *([command, name] for command in ("train", "sweep") for name in NAMES),
    *(
        [command, path]
        for command in ("evaluate", "plot", "report")
        for path in ("no such folder", "/dev/null", "", "a\x00b")
    ),
    *([word] for word in ("", "no-such-command", "train", "sweep", "evaluate", "plot", "report", "--folder", "\x00")),
]


def status(line: list[str]) -> int:
    """Exit status of a command line; anything but SystemExit passes through."""
    try:
        return main(line)
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line)[:60].replace("\x00", "NUL"))
def test_malformed_lines_are_refused(line: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert status(line) == 2
    assert capsys.readouterr().err.strip()
    assert not list(tmp_path.rglob("*.npz")), "work was begun"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small game."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(str(folder))
    return folder


def damages(content: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """A file cut off, emptied, changed in a byte, grown, and replaced by something else."""
    place = int(rng.integers(len(content)))
    yield content[:place]
    yield b""
    yield content[:place] + bytes([content[place] ^ int(rng.integers(1, 256))]) + content[place + 1 :]
    yield content + b"\xff" * 10
    yield rng.integers(256, size=100, dtype=np.uint8).tobytes()
    yield b"[" * 5000


def test_damaged_run_folders_are_refused_or_read(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is refused names a file; a change that leaves a file valid may pass."""
    monkeypatch.setattr(save, "FORMATS", ("svg",))  # figures are looked at elsewhere
    rng = np.random.default_rng(0)
    refused = tried = 0
    names = [path.name for path in sorted(whole.iterdir()) if path.suffix in {".npz", ".json", ".csv"}]
    for name in names:
        for content in damages((whole / name).read_bytes(), rng):
            folder = tmp_path / "run"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            (folder / name).write_bytes(content)
            # The model's files are read in the same way by every command; the tables by `report`.
            command = ["report"] if name.endswith(".csv") else ["evaluate", "--n-rollouts", "2"]
            tried += 1
            found = status([*command, str(folder)])
            error = capsys.readouterr().err
            assert found in {0, 2}, (name, content[:40])
            refused += found == 2
            assert (found == 0) or (str(folder) in error), (name, content[:40], error)
    assert refused >= len(names) * 3
    assert tried >= 6 * len(names)

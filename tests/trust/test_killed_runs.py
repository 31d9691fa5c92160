"""A run killed at any moment (SIGKILL, no clean-up) leaves a folder that loads, and resumes to the same bytes."""

import multiprocessing
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from trust.killed_run import FOLDER_FILES, run

from kofn.agents import AlternatingMARL

N_KILLS = 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, float]]:
    """An undisturbed run's folder, and how long it took in a process like those that are killed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    seconds = []
    for name in ("first", "second"):  # the first pays for what is loaded late
        began = time.perf_counter()
        process = started(folder.with_name(name))
        process.join()
        assert process.exitcode == 0
        seconds.append(time.perf_counter() - began)
    yield folder.with_name("second"), seconds[-1]
    shutil.rmtree(folder.parent)


def started(folder: Path) -> multiprocessing.process.BaseProcess:
    """A new process that trains into `folder`, going on with what is there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trust.killed_run"])
    process = context.Process(target=run, args=(str(folder),))
    process.start()
    return process


def test_a_killed_run_loads_and_resumes_to_the_same_bytes(whole: tuple[Path, float], tmp_path: Path) -> None:
    undisturbed, seconds = whole
    folder = tmp_path / "run"
    moments = np.random.default_rng(0).uniform(0, 1, N_KILLS) * seconds
    killed = with_model = 0
    for moment in moments:
        process = started(folder)
        process.join(moment)
        killed += process.is_alive()
        process.kill()
        process.join()
        if (folder / "config.json").exists():
            model = AlternatingMARL.load(folder)
            with_model += 1
            assert model.global_policy.table.shape[0] == model.setting.game.n_global_states
        if with_model % 2 == 0:  # so that kills meet young and old folders
            shutil.rmtree(folder, ignore_errors=True)
    process = started(folder)
    process.join()
    assert process.exitcode == 0
    assert killed >= N_KILLS // 4
    assert with_model >= N_KILLS // 4
    for name in FOLDER_FILES:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert {path.name for path in folder.iterdir()} >= set(FOLDER_FILES)

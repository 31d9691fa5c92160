"""A run killed at any moment (SIGKILL, no clean-up) leaves a folder that loads, and resumes to the same bytes.

In memory where there is a file system in memory: files outlive a killed process there too, and none waits for a disk.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from trust.killed_run import FOLDER_FILES, run_in_fork

from kofn.agents import AlternatingMARL

N_KILLS = 20


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """An empty folder."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def whole(scratch: Path, monkeypatch_module: pytest.MonkeyPatch) -> tuple[Path, float]:
    """An undisturbed run's folder, and how long it took in a process like those that are killed."""
    # The server of the forks starts with the first of them; it looks for what to load before it is told where.
    monkeypatch_module.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    folder = scratch / "whole"
    seconds = []
    for name in ("first", "second"):  # the first waits until the server of the forks is warm
        began = time.perf_counter()
        process = started(folder.with_name(name))
        process.join()
        assert process.exitcode == 0
        seconds.append(time.perf_counter() - began)
    return folder.with_name("second"), seconds[-1]


def started(folder: Path) -> multiprocessing.process.BaseProcess:
    """A new process that trains into `folder`, going on with what is there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trust.warm_killed_run"])
    process = context.Process(target=run_in_fork, args=(str(folder),))
    process.start()
    return process


def test_a_killed_run_loads_and_resumes_to_the_same_bytes(whole: tuple[Path, float], scratch: Path) -> None:
    undisturbed, seconds = whole
    folder = scratch / "run"
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

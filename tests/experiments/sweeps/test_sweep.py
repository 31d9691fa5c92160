"""Sweeps, run for real: on processes, threads and a Dask cluster, with workers and drivers killed in between."""

import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import numba
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from kofn.agents import AlternatingConfig
from kofn.experiments import cli
from kofn.experiments.config import TrainConfig
from kofn.experiments.sweeps.cells import run_cell
from kofn.experiments.sweeps.executors import backend_executor, local_executor
from kofn.experiments.sweeps.folder import read_sweep
from kofn.experiments.sweeps.grid import cell_hash, describe, grid
from kofn.experiments.sweeps.lock import folder_lock
from kofn.experiments.sweeps.sweep import MAX_RESTARTS, sweep
from kofn.experiments.sweeps.threads import THREAD_VARIABLES, one_thread_here, threads_in_use

ARGUMENTS = [
    "sweep",
    "formation",
    *("--learner", "paper"),
    *("--k", "1", "2", "--seeds", "4", "--n-agents", "6", "--max-cycles", "5", "--n-rollouts", "20"),
    *("--alternation.n-rollouts", "50", "--alternation.max-alternations", "2", "--alternation.horizon", "20"),
]
KOFN = Path(sys.executable).with_name("kofn")
TASKS = grid(
    TrainConfig(
        game="formation",
        learner="paper",
        n_agents=6,
        max_cycles=5,
        n_rollouts=20,
        alternation=AlternatingConfig(n_rollouts=50, max_alternations=2, horizon=20),
    ),
    {"k": [1, 2], "seed": range(4)},
)
TABLES = ("results.csv", "history.csv", "episodes.csv")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a sweep that nothing happened to, run in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ThreadPoolExecutor(1) as executor:
        result = sweep(TASKS, executor, folder=folder)
    assert (result.n_cells, result.n_new, result.failures, result.damaged) == (8, 8, {}, {})
    return tables_of(folder)


def tables_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def cells_of(folder: Path) -> list[Path]:
    return sorted((folder / "cells").glob("*.json"))


def wait_for(condition, process: subprocess.Popen | None = None, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the program ended by itself"
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)


def test_the_table_has_a_line_per_cell_and_says_what_was_run(undisturbed):
    header, *lines = undisturbed["results.csv"].decode().splitlines()
    columns = header.split(",")
    assert columns[:7] == ["cell", "game", "learner", "k", "n_agents", "max_cycles", "seed"]
    shown = [dict(zip(columns, line.split(","), strict=True)) for line in lines]
    assert [(int(row["k"]), int(row["seed"])) for row in shown] == [(k, seed) for k in (1, 2) for seed in range(4)]
    assert [row["cell"] for row in shown] == [cell_hash(describe(task)) for task in TASKS]
    assert all(float(row["return"]) > 0 for row in shown)


def test_a_killed_dask_worker_costs_no_row(tmp_path, undisturbed):
    distributed = pytest.importorskip("distributed")
    pids: list[int] = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", scheduler_port=0, local_directory=str(tmp_path)
    ) as cluster:

        def kill_a_worker(*_: object) -> None:
            if not pids:
                pids.append(cluster.workers[0].pid)
                os.kill(pids[0], signal.SIGKILL)

        executor = backend_executor("dask", cluster.scheduler_address)
        result = sweep(TASKS, executor, folder=tmp_path / "sweep", on_cell=kill_a_worker)
    assert pids
    assert (result.n_new, result.failures) == (8, {})
    assert tables_of(tmp_path / "sweep") == undisturbed


def test_a_killed_driver_resumes_to_the_same_rows(tmp_path, undisturbed):
    folder = tmp_path / "sweep"
    arguments = [*ARGUMENTS, "--folder", str(folder), "--workers", "2"]
    many_threads = dict.fromkeys(THREAD_VARIABLES, "2")  # which the workers do not inherit
    driver = subprocess.Popen([KOFN, *arguments], stderr=subprocess.PIPE, env={**os.environ, **many_threads})
    wait_for(lambda: len(cells_of(folder)) >= 2, driver)
    workers = children_of(driver.pid)
    driver.kill()
    driver.communicate()
    before = {path: path.stat().st_mtime_ns for path in cells_of(folder)}
    assert 2 <= len(before) < 8
    assert workers
    wait_for(lambda: not any(is_running(pid) for pid in workers))  # they end with their driver
    assert cli.main([*arguments[:-1], "1", "--resume", "--no-progress-bar"]) == 0
    assert tables_of(folder) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in before} == before  # no cell was run twice
    assert {cell["timing"]["threads"] for cell in map(json.loads, map(Path.read_text, cells_of(folder)))} == {1}


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(path.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Programs started in the background ignore Ctrl-C, and so do theirs; a terminal's do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_on_a_terminal_stops_the_bar_and_says_how_to_resume(tmp_path):
    folder = tmp_path / "sweep"
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    arguments = [*ARGUMENTS, "--folder", str(folder), "--workers", "1"]
    arguments[arguments.index("--seeds") + 1] = "40"  # far more cells than are finished before the signal is seen
    process = subprocess.Popen([KOFN, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    wait_for(lambda: len(cells_of(folder)) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C: the workers get it too
    written = []
    with contextlib.suppress(OSError):  # how a closed terminal ends on Linux
        while chunk := os.read(ours, 4096):
            written.append(chunk)
    os.close(ours)
    text = b"".join(written).decode()
    assert process.wait() == cli.INTERRUPTED
    assert re.search(r"cells: +\d+%.* \d+/80 \[.*<.*formation paper k=\d n=6 seed=\d", text)
    n_saved = len(cells_of(folder))
    assert f"{n_saved} finished cells are saved in {folder}: add --resume" in " ".join(text.split())
    assert "Traceback" not in text, text[-3000:]
    assert "resource_tracker" not in text
    assert len((folder / "results.csv").read_text().splitlines()) == 1 + n_saved


def test_without_a_terminal_every_cell_is_a_line(tmp_path, capsys):
    with ThreadPoolExecutor(1) as executor:
        sweep(TASKS[:2], executor, folder=tmp_path, progress_bar=True)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"cell 1/2: formation paper k=1 n=6 seed=0: return \d+\.\d\d; .*\d s left", lines[0])
    assert lines[1].endswith("; 0 s left")


def test_a_sweep_is_extended_and_never_repeats_a_cell(tmp_path, undisturbed):
    with ThreadPoolExecutor(1) as executor:
        sweep(TASKS[:3], executor, folder=tmp_path)
        result = sweep(TASKS, executor, folder=tmp_path, resume=True)
    assert (result.n_cells, result.n_new) == (8, 5)
    assert tables_of(tmp_path) == undisturbed


def test_an_existing_sweep_is_not_touched_unless_told(tmp_path):
    with ThreadPoolExecutor(1) as executor:
        sweep(TASKS[:2], executor, folder=tmp_path)
        with pytest.raises(FileExistsError, match="already holds a sweep; pass --resume, --overwrite"):
            sweep(TASKS[:1], executor, folder=tmp_path)
        assert len(cells_of(tmp_path)) == 2
        assert sweep(TASKS[:1], executor, folder=tmp_path, overwrite=True).n_new == 1
    assert len(cells_of(tmp_path)) == 1


def test_a_damaged_cell_is_named_and_run_again_and_the_rest_is_kept(tmp_path, undisturbed):
    with ThreadPoolExecutor(1) as executor:
        sweep(TASKS, executor, folder=tmp_path)
        victim = cells_of(tmp_path)[3]
        victim.write_bytes(victim.read_bytes()[:100])
        result = sweep(TASKS, executor, folder=tmp_path, resume=True)
    assert list(result.damaged) == [str(victim)]
    assert "is not a JSON file" in result.damaged[str(victim)]
    assert result.n_new == 1
    assert tables_of(tmp_path) == undisturbed


def test_a_sweep_of_another_version_is_refused_and_kept(tmp_path):
    with ThreadPoolExecutor(1) as executor:
        sweep(TASKS[:1], executor, folder=tmp_path)
        path = tmp_path / "sweep.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "kofn": "0.0.1"}))
        with pytest.raises(ValueError, match=r"was started with kofn 0\.0\.1; this is .*nothing here was changed"):
            sweep(TASKS, executor, folder=tmp_path, resume=True)
        path.write_text(json.dumps({**content, "format_version": 99}))
        with pytest.raises(ValueError, match=r"sweep\.json has format version 99; this kofn reads up to"):
            read_sweep(tmp_path)
    assert len(cells_of(tmp_path)) == 1


def test_two_sweeps_cannot_write_to_one_folder(tmp_path, capsys):
    with folder_lock(tmp_path):
        with ThreadPoolExecutor(1) as executor, pytest.raises(BlockingIOError, match=f"by process {os.getpid()} on "):
            sweep(TASKS[:1], executor, folder=tmp_path)
        assert cli.main([*ARGUMENTS, "--folder", str(tmp_path)]) == 1
    assert "is being written by process" in capsys.readouterr().err
    assert not (tmp_path / "sweep.json").exists()


@contextlib.contextmanager
def little_room(n_bytes: int):
    """No file of this process may grow beyond so many bytes: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_only_the_cell_that_did_not_fit(tmp_path, undisturbed):
    room = contextlib.ExitStack()
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(OSError, match="File too large"), room:
            sweep(TASKS, executor, folder=tmp_path, on_cell=lambda *_: room.enter_context(little_room(200)))
        kept = cells_of(tmp_path)
        assert len(kept) == 1
        assert not list((tmp_path / "cells").glob(".*"))  # nothing half-written is left
        assert sweep(TASKS, executor, folder=tmp_path, resume=True).n_new == 7
    assert tables_of(tmp_path) == undisturbed


def test_a_full_disk_is_explained_on_the_command_line(tmp_path, capsys):
    with little_room(200):
        assert cli.main([*ARGUMENTS, "--folder", str(tmp_path / "sweep")]) == 1
    assert "no room to write" in capsys.readouterr().err
    assert "Traceback" not in capsys.readouterr().err


def broken(config: TrainConfig):
    """A cell that fails for one seed."""
    if config.seed == 1:
        raise ArithmeticError("no luck with this seed")
    return run_cell(config)


def test_a_failing_cell_is_named_and_the_others_are_kept(tmp_path, undisturbed):
    with ThreadPoolExecutor(1) as executor:
        result = sweep(TASKS, executor, folder=tmp_path, run=broken)
        assert result.n_new == 6
        assert {words.split(" (")[0]: error for words, error in result.failures.items()} == {
            f"formation paper k={k} n=6 seed=1": "ArithmeticError: no luck with this seed" for k in (1, 2)
        }
        sweep(TASKS, executor, folder=tmp_path, resume=True)
    assert tables_of(tmp_path) == undisturbed


class DyingPool(ThreadPoolExecutor):
    """Its workers die at every cell."""

    def submit(self, *_: object, **__: object):
        return super().submit(die)


def die() -> None:
    raise BrokenExecutor("a worker was killed")


def test_workers_that_keep_dying_end_the_sweep_with_a_reason(tmp_path, undisturbed):
    opened = []

    @contextlib.contextmanager
    def dying():
        opened.append(len(opened))
        with DyingPool(1) as executor:
            yield executor

    with pytest.raises(BrokenExecutor, match=r"the workers died .* out of memory\? 0 of 8 cells are done"):
        sweep(TASKS, dying, folder=tmp_path)
    assert len(opened) == MAX_RESTARTS
    with ThreadPoolExecutor(1) as executor:
        sweep(TASKS, executor, folder=tmp_path, resume=True)
    assert tables_of(tmp_path) == undisturbed


def test_a_killed_local_worker_costs_no_row(tmp_path, undisturbed):
    killed: list[int] = []

    def kill_a_worker(*_: object) -> None:
        if not killed:
            killed.extend(pid for pid in children_of(os.getpid()) if b"popen_loky" in command_of(pid))
            os.kill(killed[0], signal.SIGKILL)

    result = sweep(TASKS, lambda: local_executor(1), folder=tmp_path, on_cell=kill_a_worker)
    assert killed
    assert (result.n_new, result.failures) == (8, {})
    assert tables_of(tmp_path) == undisturbed


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_a_process_has_its_threads_back_after_a_sweep_on_threads():
    numba.set_num_threads(1)
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    with threadpool_limits(limits=2):
        inside = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
        with one_thread_here():
            assert threads_in_use() == 1
            assert os.environ["OMP_NUM_THREADS"] == "1"
        assert [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()] == inside
    assert [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()] == before

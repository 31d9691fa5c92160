"""Where the cells of a sweep run; everything is a `concurrent.futures.Executor`.

* "local": worker processes of this machine (joblib's loky), one thread each. They end with the driver, and leave Ctrl-C
  to it.
* "dask": a Dask cluster. The scheduler gives the cells of a worker that dies to another one.
"""

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

from kofn.envs.arrays import integer, one_of
from kofn.experiments.sweeps.threads import ONE_THREAD, end_with_parent, use_one_thread

BACKENDS = ("local", "dask")
IDLE_SECONDS = 60

OpenExecutor = Callable[[], AbstractContextManager[Executor]]
"""Opens an executor, and closes it at the end of a `with` block."""


def backend_executor(backend: str, scheduler: str | None = None, n_workers: int | None = None) -> OpenExecutor:
    """The executor of a backend.

    Args:
        backend: "local" or "dask".
        scheduler: address of a Dask scheduler; None: what Dask is configured for, or a cluster of this machine's cores.
        n_workers: worker processes of "local"; None: one per core.

    Raises:
        TypeError, ValueError: an argument out of range, or one of the other backend.
    """
    one_of("backend", backend, BACKENDS)
    if backend == "dask":
        if n_workers is not None:
            raise ValueError("workers is for backend='local'; a Dask cluster has its own workers")
        return partial(dask_executor, scheduler)
    if scheduler is not None:
        raise ValueError("scheduler needs backend='dask'")
    return partial(local_executor, integer("workers", n_workers, 1) if n_workers is not None else None)


@contextmanager
def local_executor(n_workers: int | None = None) -> Iterator[Executor]:
    """Worker processes of this machine; an exception kills them, with whatever they were doing."""
    from joblib.externals.loky import ProcessPoolExecutor  # noqa: PLC0415  # slow to import

    executor: Executor = ProcessPoolExecutor(
        max_workers=n_workers if n_workers is not None else available_cores(),
        timeout=IDLE_SECONDS,
        initializer=_start_worker,
        env=ONE_THREAD,
    )
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]  # loky's own argument
        raise
    executor.shutdown(wait=True)


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker() -> None:
    """In a new local worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to the workers too
    tqdm.set_lock(threading.RLock())  # its own would be a semaphore that a killed worker leaves behind
    use_one_thread()
    end_with_parent()


@contextmanager
def dask_executor(scheduler: str | None = None) -> Iterator[Executor]:
    """A client of a Dask cluster; what is unfinished on the way out is cancelled there."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError(f"backend='dask' needs Dask: pip install 'kofn[cluster]' ({error})") from None
    with distributed.Client(address=scheduler, set_as_default=False) as client:
        executor: Executor = client.get_executor(pure=False)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)


@contextmanager
def borrowed(executor: Executor) -> Iterator[Executor]:
    """An executor of the caller's, left open."""
    yield executor

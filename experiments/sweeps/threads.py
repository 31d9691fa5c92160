"""One thread per worker, so that as many cells as cores run side by side without getting into each other's way.

Numerical libraries start a thread per core in every process. `use_one_thread` limits those that are loaded (BLAS and
OpenMP, numba, PyTorch) and, through the environment, those that will be.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numba
from threadpoolctl import threadpool_info, threadpool_limits

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
"""Environment of a worker that is started for a sweep."""


def use_one_thread() -> None:
    """Limit this process to one thread per library from now on."""
    # Numba refuses another NUMBA_NUM_THREADS once its threads run; its own mask is set below.
    os.environ.update({name: "1" for name in THREAD_VARIABLES if not name.startswith("NUMBA")})
    threadpool_limits(limits=1)
    numba.set_num_threads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def threads_in_use() -> int:
    """The largest number of threads that any loaded library would use."""
    torch = sys.modules.get("torch")
    pools = [int(pool["num_threads"]) for pool in threadpool_info()]
    return max([numba.get_num_threads(), torch.get_num_threads() if torch is not None else 1, *pools])


@contextmanager
def one_thread_here() -> Iterator[None]:
    """The same while the block runs: executors of threads work in the caller's own process."""
    variables = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    numba_threads = numba.get_num_threads()
    torch = sys.modules.get("torch")
    torch_threads = torch.get_num_threads() if torch is not None else 1
    with threadpool_limits(limits=1):
        use_one_thread()
        try:
            yield
        finally:
            numba.set_num_threads(numba_threads)
            if torch is not None:
                torch.set_num_threads(torch_threads)
            for name, value in variables.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def end_with_parent() -> None:
    """End this worker soon after the process that started it, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

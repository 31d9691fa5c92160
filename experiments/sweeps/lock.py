"""One writer per folder: a lock file that names its owner's process.

The operating system holds the lock (`flock`) and drops it when its owner ends, however it ends, so that a killed run or
sweep leaves no lock behind. Systems without `flock` (Windows) are not guarded.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        BlockingIOError: another process holds it; the message names that process.
    """
    try:
        import fcntl  # noqa: PLC0415  # POSIX only
    except ImportError:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise BlockingIOError(
                f"{folder} is being written by {owner}; wait for it, stop it, or choose another --folder"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)

"""`killed_run` with everything loaded that a training needs: imported by the server whose forks are killed.

A fork then spends its time on learning and on files, not on imports, machine code and fonts; and not on drawing: a
picture's file is written in the same way, with something else in it.
"""

import tempfile
from pathlib import Path
from typing import IO, Any

from matplotlib.figure import Figure
from trust.killed_run import run


def _save(_figure: Figure, file: IO[bytes], **_options: Any) -> None:
    """In place of `Figure.savefig`."""
    file.write(b"picture\n" * 4000)


Figure.savefig = _save  # type: ignore[method-assign,assignment]  # in the server and its forks only
with tempfile.TemporaryDirectory() as _folder:
    run(str(Path(_folder, "run")))

"""How far a sweep is: one bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class SweepProgress:
    """Counts the finished cells of a sweep on standard error.

    Args:
        total: cells of the sweep.
        done: cells that were finished before.
        show: False shows nothing.
    """

    def __init__(self, total: int, done: int, *, show: bool = True) -> None:
        self._total, self._done, self._new = total, done, 0
        self._began = time.monotonic()
        terminal = sys.stderr.isatty()
        self._lines = show and not terminal
        bar = show and terminal
        self._bar = tqdm(total=total, initial=done, desc="cells", unit="cell", dynamic_ncols=True, disable=not bar)
        self._show = show

    def __enter__(self) -> "SweepProgress":
        """Use as a context manager: leaving it closes the bar."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the bar."""
        self._bar.close()

    def current(self, label: str) -> None:
        """Name the cell that is being worked on (of several, the oldest)."""
        self._bar.set_postfix_str(label)

    def finished(self, label: str, outcome: str) -> None:
        """Count one cell."""
        self._done, self._new = self._done + 1, self._new + 1
        self._bar.update()
        if self._lines:
            left = _duration(self.seconds_left())
            print(f"cell {self._done}/{self._total}: {label}: {outcome}; {left} left", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Say something above the bar."""
        if self._show:
            self._bar.write(text, file=sys.stderr)

    def seconds_left(self) -> float:
        """Estimated from the cells finished so far in this call."""
        return (time.monotonic() - self._began) / max(self._new, 1) * (self._total - self._done)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

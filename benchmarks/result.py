"""One measured figure and the limit it must keep."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured figure.

    Attributes:
        name: what was measured.
        value: the figure.
        limit: the limit it must keep.
        at_least: whether the limit is a floor (otherwise a ceiling).
        note: how it came about.
    """

    name: str
    value: float
    limit: float
    at_least: bool
    note: str

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def cells(self) -> list[str]:
        """The figure as cells of a table."""
        sign = ">=" if self.at_least else "<="
        verdict = "ok" if self.kept else "MISSED"
        return [self.name, f"{self.value:.4g}", f"{sign} {self.limit:g}", verdict, self.note]


HEADER = ["figure", "measured", "limit", "verdict", "note"]

"""The authors' figures, to draw beside ours and to compare with."""

import json
from pathlib import Path
from typing import Any

from kofn.experiments.plots.against_k import Points

FOLDER = Path(__file__).parent


def reference(name: str) -> dict[str, Any]:
    """Content of a reference file."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def authors_returns(game: str) -> Points | None:
    """Mean discounted returns of the authors' code by k, at the paper's sizes; None for other games."""
    if game == "warehouse_dispatch":
        rows = reference("warehouse_authors_code")["rows"]
        return Points(name="authors' code, one training", values={row["k"]: [row["paper_H100"]] for row in rows})
    if game == "cluster_line":
        rows = reference("cluster_line_authors_code")["rows"]
        measured = {row["k"]: row["measured"] for row in rows if "measured" in row}
        return Points(name="authors' code, each training", values=measured)
    return None


def authors_published(game: str) -> Points | None:
    """What the authors print, the best of three trainings; None for other games."""
    if game != "cluster_line":
        return None
    rows = reference("cluster_line_authors_code")["rows"]
    return Points(name="published, best of 3 trainings", values={row["k"]: [row["published"]] for row in rows})


def authors_seconds(game: str) -> Points | None:
    """CPU seconds of one training by the authors' code by k (on another machine); None for other games."""
    if game != "warehouse_dispatch":
        return None
    seconds = reference("warehouse_authors_code")["train_cpu_seconds"]
    return Points(name="authors' code (other machine)", values={int(k): [value] for k, value in seconds.items()})

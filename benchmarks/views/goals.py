"""What was aimed at, and what came out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.goal import Goal

Row = dict[str, Any]
GPU_VIEWS_PER_S = 10_000


def goals(rows: list[Row]) -> list[Goal]:
    """Every goal. Files: on as many cores as were measured, two on the machine that they were set for."""
    cores = max((row["cores"] for row in rows if row["part"] in ("resize", "views")), default=2)
    loaded = {part: _times(rows, part=part, cores=cores) for part in ("resize", "views")}
    chains = _times(rows, part="chains")
    singles = [row["times"] for row in rows if row["part"] == "edits" and "times" in row]
    tracing = next((row for row in rows if row["part"] == "tracing"), None)
    memory = [row["bytes"] for row in rows if row["part"] == "memory"]
    return [
        Goal(
            text=f"decode + resize, {cores} cores: times torchvision in a DataLoader",
            wanted=3,
            figure=_least(loaded["resize"], ("torchvision", "torchvision_pil")),
        ),
        Goal(
            text=f"decode + resize, {cores} cores: times the best of the others",
            wanted=1,
            figure=_least(loaded["resize"], ("albumentations", "dali")),
        ),
        Goal(text="chains, edits alone: times AugLy", wanted=4, figure=chains.get("augly")),
        Goal(
            text="chains, edits alone: times the best of the others", wanted=1, figure=_least(chains, _OTHERS)
        ),
        Goal(
            text=f"files to two views, {cores} cores: times AugLy",
            wanted=4,
            figure=loaded["views"].get("augly"),
        ),
        Goal(
            text=f"files to two views, {cores} cores: times the best of the others",
            wanted=1,
            figure=_least(loaded["views"], _OTHERS),
        ),
        Goal(
            text="single edits: share that no peer does 5 % faster",
            wanted=100,
            figure=_percent(_never_beaten(rows)) if singles else None,
            unit="%",
        ),
        *(
            Goal(
                text=f"tracing, of the time of drawing{text}",
                wanted=5,
                figure=None if tracing is None else 100 * tracing[what] / tracing["draw_s"],
                at_most=True,
                unit="%",
            )
            for what, text in (("trace_s", ""), ("content_s", ", with the content that is left"))
        ),
        Goal(
            text="GPU: views a second, chains as above",
            wanted=GPU_VIEWS_PER_S,
            figure=next(
                (
                    row["per_s"]
                    for row in rows
                    if row.get("engine") == "ours_dali_gpu" and "per_s" in row and row["case"] == "views"
                ),
                None,
            ),
            unit="/s",
        ),
        Goal(
            text="memory, growth from the first mark to the last",
            wanted=5,
            figure=100 * (memory[-1] / memory[0] - 1) if len(memory) > 1 else None,
            at_most=True,
            unit="%",
        ),
    ]


_TIE = 0.95
_OTHERS = ("torchvision", "albumentations", "kornia")


def _times(rows: Iterable[Row], **wanted: Any) -> dict[str, float]:
    """How many times as fast ours is as each peer that was measured."""
    return {
        row["peer"]: row["times"]
        for row in rows
        if "times" in row and all(row.get(name) == value for name, value in wanted.items())
    }


def _least(times: dict[str, float], peers: tuple[str, ...]) -> float | None:
    return min((times[peer] for peer in peers if peer in times), default=None)


def _never_beaten(rows: list[Row]) -> float:
    cases: dict[str, float] = {}
    for row in rows:
        if row["part"] == "edits" and "times" in row:
            cases[row["case"]] = min(row["times"], cases.get(row["case"], row["times"]))
    return sum(times >= _TIE for times in cases.values()) / len(cases)


def _percent(share: float) -> float:
    return 100 * share

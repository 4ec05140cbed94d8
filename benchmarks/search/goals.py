"""What was aimed at on a 2-core machine at D = 256, k = 10, one million rows; and what came out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.goal import Goal

Row = dict[str, Any]
ROW_BYTES = 8  # of a norm


class Results:
    """Rows of a run, by case and engine; the centre is the case with the most engines."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        cases = [row["case"] for row in rows]
        self.centre = max(cases, key=cases.count)

    def row(self, engine: str, **changes: Any) -> Row | None:
        """The row of an engine at the centre, or at what differs from it; None if it failed or is none."""
        case = {**self.centre, **changes}
        found = [row for row in self._rows if row["engine"] == engine and row["case"] == case]
        return found[0] if found and "problem" not in found[0] else None

    def times(self, ours: str, peer: str, **changes: Any) -> float | None:
        """How many times as fast as the peer."""
        mine, other = self.row(ours, **changes), self.row(peer, **changes)
        return None if mine is None or other is None else float(other["median_s"] / mine["median_s"])

    def figure(self, engine: str, name: str, **changes: Any) -> float | None:
        row = self.row(engine, **changes)
        return None if row is None or name not in row else float(row[name])

    def slope(self, engine: str) -> float | None:
        """d log(seconds) / d log(N) over the cases that differ from the centre in N alone."""
        rows = [
            row
            for row in self._rows
            if row["engine"] == engine
            and "problem" not in row
            and {**row["case"], "num_refs": 0} == {**self.centre, "num_refs": 0}
        ]
        if len(rows) < 3:
            return None
        size, seconds = zip(*((row["case"]["num_refs"], row["median_s"]) for row in rows), strict=True)
        return float(np.polyfit(np.log(size), np.log(seconds), 1)[0])


def goals(results: Results) -> list[Goal]:
    """Every goal, in the order of the issue."""
    centre = results.centre
    codes_bytes = centre["num_refs"] * (centre["num_dims"] + ROW_BYTES)
    mapped_bytes = results.figure("mapped", "peak_bytes")
    share: Callable[..., float | None] = results.figure
    return [
        Goal(
            text="times FAISS unfiltered, all pairs valid",
            wanted=3.8,
            figure=results.times("ours", "flat", share=1.0),
        ),
        Goal(
            text="times FAISS unfiltered + filter, half valid",
            wanted=7.5,
            figure=results.times("ours", "flat"),
        ),
        Goal(
            text="times FAISS in buckets by range, half valid",
            wanted=3.8,
            figure=results.times("ours", "buckets"),
        ),
        Goal(
            text="the screen's share of the integer peak, all pairs valid",
            wanted=80,
            figure=_percent(share("screen", "share_of_peak", share=1.0)),
            unit="%",
        ),
        *(
            Goal(
                text=f"one query: times FAISS with an IDSelector{kind.capitalize()}",
                wanted=10,
                figure=results.times("ours", kind, num_queries=1),
            )
            for kind in ("batch", "bitmap")
        ),
        Goal(
            text="peak memory, floats mapped: 1.3 x (codes + norms) + 300 MB",
            wanted=(1.3 * codes_bytes + 300e6) / 1e6,
            figure=None if mapped_bytes is None else mapped_bytes / 1e6,
            at_most=True,
            unit="MB",
        ),
        Goal(
            text="AVX2 alone: times FAISS at its best, all pairs valid",
            wanted=2,
            figure=results.times("ours:avx2", "flat", share=1.0),
        ),
        Goal(
            text="AVX2 alone: times FAISS at AVX2, all pairs valid",
            wanted=2,
            figure=results.times("ours:avx2", "flat:avx2", share=1.0),
        ),
        Goal(
            text="real descriptors: times FAISS unfiltered + filter, half valid",
            wanted=10,
            figure=results.times("ours", "flat", data="photos"),
        ),
    ]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share

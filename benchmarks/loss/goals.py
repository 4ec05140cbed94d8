"""What was aimed at, and what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.loss.cases import CPU_GOAL, GPU_GOAL

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The figure should be at most `wanted`; None: it was not measured (or a run failed)."""

    text: str
    wanted: float
    figure: float | None
    unit: str = "x"

    def cells(self) -> list[str]:
        verdict = "not measured" if self.figure is None else "met" if self.figure <= self.wanted else "missed"
        figure = "-" if self.figure is None else f"{self.figure:.3g} {self.unit}"
        return [self.text, figure, f"<= {self.wanted:.3g} {self.unit}", verdict]


def goals(rows: list[Row]) -> list[Goal]:
    cpu, gpu = ("N={} C={} D={}".format(*size) for size in (CPU_GOAL, GPU_GOAL))
    ours_gpu = _row(rows, "ours", "cuda", GPU_GOAL)
    return [
        Goal(
            text=f"CPU, {cpu}: extra memory, of plain PyTorch's",
            wanted=0.2,
            figure=_quotient(rows, "extra_bytes", "eager"),
        ),
        Goal(
            text=f"CPU, {cpu}: time, of plain PyTorch's",
            wanted=1,
            figure=_quotient(rows, "median_s", "eager"),
        ),
        Goal(
            text=f"GPU, {gpu}: forward and backward",
            wanted=20,
            figure=ours_gpu and 1e3 * ours_gpu["median_s"],
            unit="ms",
        ),
        Goal(
            text=f"GPU, {gpu}: extra memory",
            wanted=0.5,
            figure=ours_gpu and ours_gpu["extra_bytes"] / 1e9,
            unit="GB",
        ),
    ]


def _quotient(rows: list[Row], figure: str, peer: str) -> float | None:
    mine, other = (_row(rows, engine, "cpu", CPU_GOAL) for engine in ("ours", peer))
    return None if mine is None or other is None else float(mine[figure] / other[figure])


def _row(rows: list[Row], engine: str, device: str, size: tuple[int, int, int]) -> Row | None:
    for row in rows:
        case = row["case"]
        at = (case["num_rows"], case["num_classes"], case["num_dims"])
        if (row["engine"], case["device"], at) == (engine, device, size) and "problem" not in row:
            return row
    return None

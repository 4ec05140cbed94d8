"""What was aimed at, and what came out."""

from __future__ import annotations

from typing import Any

from benchmarks.goal import Goal
from benchmarks.loss.cases import CPU_GOAL, GPU_GOAL

Row = dict[str, Any]


def goals(rows: list[Row]) -> list[Goal]:
    cpu, gpu = ("N={} C={} D={}".format(*size) for size in (CPU_GOAL, GPU_GOAL))
    ours_gpu = _row(rows, "ours", "cuda", GPU_GOAL)
    return [
        Goal(
            text=f"CPU, {cpu}: extra memory, of plain PyTorch's",
            wanted=0.2,
            figure=_quotient(rows, "extra_bytes", "eager"),
            at_most=True,
        ),
        Goal(
            text=f"CPU, {cpu}: time, of plain PyTorch's",
            wanted=1,
            figure=_quotient(rows, "median_s", "eager"),
            at_most=True,
        ),
        Goal(
            text=f"GPU, {gpu}: forward and backward",
            wanted=20,
            figure=ours_gpu and 1e3 * ours_gpu["median_s"],
            at_most=True,
            unit="ms",
        ),
        Goal(
            text=f"GPU, {gpu}: extra memory",
            wanted=0.5,
            figure=ours_gpu and ours_gpu["extra_bytes"] / 1e9,
            at_most=True,
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

"""Case by case: start the engines, check their answers, time them in turns, save."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.loss.cases import Case
from benchmarks.loss.engines import ENGINES
from benchmarks.loss.oracle import FLOOR, write_exact
from benchmarks.loss.worker import Worker
from benchmarks.process import PeerError

Row = dict[str, Any]


def run(
    cases: Iterable[Case], folder: Path, save: Callable[[list[Row]], None], say: Callable[[str], None]
) -> list[Row]:
    """Measure every case; `save` is given all rows so far after each case."""
    rows: list[Row] = []
    for case in cases:
        start = time.perf_counter()
        say(f"\n{case.name}")
        for row in measure(case, folder):
            rows.append(row)
            say(_line(row))
        save(rows)
        say(f"({time.perf_counter() - start:.0f} s)")
    return rows


def measure(case: Case, folder: Path) -> list[Row]:
    """One row an engine. Engines take turns, so that all of them meet the same state of the machine."""
    rows: dict[str, Row] = {name: {"case": asdict(case), "engine": name} for name in ENGINES}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}

        def attempt(name: str, work: Callable[[], None]) -> None:
            try:
                work()
            except PeerError as error:
                rows[name]["problem"] = str(error)

        def start(name: str) -> None:
            if case.device == "cpu" and not ENGINES[name].on_cpu:
                raise PeerError("not measured: its kernels need a GPU")
            worker = Worker(name, case, folder)
            stack.callback(worker.close)
            workers[name] = worker
            rows[name]["extra_bytes"] = worker.ask("extra_bytes")
            write_exact(case, ENGINES[name].formula, folder)
            rows[name]["errors"] = worker.ask("errors")
            rows[name]["seconds"] = []

        for name in ENGINES:
            attempt(name, lambda name=name: start(name))  # type: ignore[misc]
        while waiting := [
            name for name, row in rows.items() if "problem" not in row and not _enough(row["seconds"])
        ]:
            for name in waiting:
                attempt(name, lambda name=name: rows[name]["seconds"].extend(workers[name].ask("seconds")))  # type: ignore[misc]
    for row in rows.values():
        if "problem" not in row:
            row["median_s"] = statistics.median(row["seconds"])
    _check(rows)
    return list(rows.values())


def _enough(seconds: list[float]) -> bool:
    return len(seconds) >= 15 or (len(seconds) >= 5 and sum(seconds) > 10)


def _check(rows: dict[str, Row]) -> None:
    """Ours may be as far from float64 as plain PyTorch in the same type, plus a floor; else it has no row."""
    mine, plain = rows["ours"], rows["eager"]
    if "errors" not in mine or "errors" not in plain:
        return
    for name, error in mine["errors"].items():
        if not error <= plain["errors"][name] + FLOOR:
            mine["problem"] = f"{name} is off by {error:.2g}, plain PyTorch by {plain['errors'][name]:.2g}"


def _line(row: Row) -> str:
    if "problem" in row:
        return f"  {row['engine']:<24} {row['problem']}"
    errors = ", ".join(f"{name} {error:.1e}" for name, error in row["errors"].items())
    spread = 50 * (max(row["seconds"]) - min(row["seconds"])) / row["median_s"]
    return (
        f"  {row['engine']:<24} {1e3 * row['median_s']:9.1f} ms (+-{spread:.0f} %) "
        f"{row['extra_bytes'] / 1e6:9.1f} MB extra   errors: {errors}"
    )

"""Case by case: start the engines, time them in turns, check their answers, save."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from benchmarks.process import PeerError
from benchmarks.search.cases import Case
from benchmarks.search.data import Data, Work
from benchmarks.search.engines import engine_named
from benchmarks.search.int8_peak import int8_peak
from benchmarks.search.oracle import Exact, exact_answer
from benchmarks.search.worker import Worker

Row = dict[str, Any]


def run(
    cases: Iterable[Case], data: Data, save: Callable[[list[Row]], None], say: Callable[[str], None]
) -> list[Row]:
    """Measure every case; `save` is given all rows so far after each case."""
    rows: list[Row] = []
    for case in cases:
        start = time.perf_counter()
        say(f"\n{case.name}")
        for row in measure(case, data.work(case)):
            rows.append(row)
            say(_line(row))
        save(rows)
        say(f"({time.perf_counter() - start:.0f} s)")
    return rows


def measure(case: Case, work: Work) -> list[Row]:
    """One row an engine. Engines take turns, so that all of them meet the same state of the machine."""
    exact = exact_answer(work)
    seconds: dict[str, list[float]] = {name: [] for name in case.engines}
    problems: dict[str, str] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name in case.engines:
            family = engine_named(name).family
            try:
                if family not in workers:
                    workers[family] = Worker(family, work)
                    stack.callback(workers[family].close)
            except PeerError as error:
                problems[name] = str(error)
        while waiting := [
            name for name in case.engines if name not in problems and not enough(seconds[name])
        ]:
            for name in waiting:
                engine = engine_named(name)
                try:
                    seconds[name].append(workers[engine.family].seconds(engine.way))
                except PeerError as error:
                    problems[name] = str(error)
        return [_row(case, work, name, seconds[name], workers, problems, exact) for name in case.engines]


def enough(seconds: list[float]) -> bool:
    """Short runs are many, long ones few; the first of several is a warm-up."""
    return len(seconds) >= 20 or sum(seconds) > 10 or (len(seconds) >= 4 and sum(seconds) > 2)


def _row(
    case: Case,
    work: Work,
    name: str,
    seconds: list[float],
    workers: dict[str, Worker],
    problems: dict[str, str],
    exact: Exact,
) -> Row:
    engine = engine_named(name)
    row: Row = {"case": {**asdict(case), "engines": None}, "engine": name}
    del row["case"]["engines"]
    try:
        if name in problems:
            raise PeerError(problems[name])
        worker = workers[engine.family]
        told = worker.told()
        if engine.way != "screen":
            row["answer"] = exact.check(work, worker.answer(engine.way), exact=engine.exact)
    except (PeerError, ValueError) as error:
        return {**row, "problem": str(error)}
    timed = seconds[1:] or seconds
    row.update(
        seconds=timed,
        median_s=statistics.median(timed),
        prepare_s=worker.prepare_s,
        peak_bytes=told["peak_bytes"],
    )
    row["pairs_per_s"] = case.num_queries * case.num_refs / row["median_s"]
    if "buckets" in told and engine.way == "buckets":
        row["buckets"] = told["buckets"]
    if "instructions" in told:
        _add_work(row, told, "screen_" if engine.way == "screen" else "")
    return row


def _add_work(row: Row, told: dict[str, Any], prefix: str) -> None:
    """What ours had to do: pairs screened and scored a query, and the rate as a share of the integer peak."""
    case = row["case"]
    row["instructions"] = told["instructions"]
    row["screened_share"] = told[f"{prefix}screened"] / (case["num_queries"] * case["num_refs"])
    row["survivors"] = told[f"{prefix}scored"] / case["num_queries"]
    peak = int8_peak(told["instructions"], case["num_threads"])
    if peak is not None:
        row["int8_peak"] = peak
        row["share_of_peak"] = told[f"{prefix}screened"] * case["num_dims"] / row["median_s"] / peak


def _line(row: Row) -> str:
    if "problem" in row:
        return f"  {row['engine']:<16} {row['problem']}"
    shown = ("share_of_peak", "survivors", "screened_share", "buckets")
    more = "".join(f"  {name} {row[name]:.3g}" for name in shown if name in row)
    return (
        f"  {row['engine']:<16} {row['median_s']:9.4f} s {row['pairs_per_s'] / 1e6:8.0f} M pairs/s"
        f" {row['peak_bytes'] / 1e6:6.0f} MB{more}  {row.get('answer', '')}"
    )

"""Part by part: start the engines, check their answers, time them in turns, save."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from asl_fast.edits import Pixels
from benchmarks.process import PeerError
from benchmarks.views.cases import EDGE_PX, PHOTO_SIZE, Case, drawn_chains, single_edits
from benchmarks.views.editing import Editor
from benchmarks.views.loading import Job, Loader, Pass
from benchmarks.views.ourselves import LongRun, Tracer
from benchmarks.views.photos import pictures

Row = dict[str, Any]
Taken = TypeVar("Taken")

EDITORS = ("torchvision", "albumentations", "kornia", "augly")
RESIZERS = ("torchvision", "torchvision_pil", "albumentations", "dali")
RESIZED_BOUND = 4.0  # grey levels: bicubic, bilinear and area averages differ by two
_ROUNDED_PX = 2  # what sizes may differ by where one rounds up and another down


@dataclass(frozen=True)
class Amount:
    """How much of everything."""

    edited: int = 16  # pictures
    chained: int = 64
    resized: int = 512  # files
    viewed: int = 128  # files, two views each
    rounds: int = 7
    viewed_rounds: int = 5
    marks: tuple[int, ...] = (10_000, 50_000, 100_000)  # views after which memory is read

    @property
    def least_files(self) -> int:
        return max(2 * self.edited, self.chained, self.viewed)


QUICK = Amount(
    edited=8, chained=32, resized=128, viewed=32, rounds=5, viewed_rounds=3, marks=(1_000, 2_000, 4_000)
)


PARTS = ("edits", "resize", "views", "tracing", "memory")
GPU_PARTS = ("gpu",)


def run(
    paths: list[Path],
    amount: Amount,
    cores: tuple[int, ...],
    parts: tuple[str, ...],
    save: Callable[[list[Row]], None],
    say: Callable[[str], None],
) -> list[Row]:
    """Measure some of PARTS; `save` is given all rows so far after each."""
    measures: dict[str, Callable[[], Iterator[Row]]] = {
        "edits": lambda: edits(paths, amount),
        "resize": lambda: resizing(paths, amount, cores),
        "views": lambda: viewing(paths, amount, cores),
        "tracing": lambda: tracing(paths, amount),
        "memory": lambda: memory(paths, amount, cores[-1]),
        "gpu": lambda: on_gpu(paths, amount),
    }
    rows: list[Row] = []
    for part in parts:
        start = time.perf_counter()
        say(f"\n{part}")
        for row in measures[part]():
            rows.append(row)
            say(_line(row))
        save(rows)
        say(f"({time.perf_counter() - start:.0f} s)")
    return rows


def edits(paths: list[Path], amount: Amount) -> Iterator[Row]:
    """A row for each case and peer that knows any of its edits."""
    squares = (EDGE_PX, EDGE_PX)
    decoded = {
        "squares": pictures(paths[: amount.edited], squares),
        "photos": pictures(paths[: amount.chained], PHOTO_SIZE),
    }
    pool = pictures(paths[amount.edited : 2 * amount.edited], squares)
    chains = Case("chains", drawn_chains(amount.chained), "photos", None)
    with ExitStack() as stack:

        def start(name: str) -> Editor:
            editor = Editor(name, decoded, pool)
            stack.callback(editor.close)
            return editor

        ours = start("ours")
        peers, missing = _started(EDITORS, start)
        for case in (*single_edits(amount.edited), chains):
            yield from _edited(case, ours, peers, missing, amount.rounds)


def _edited(
    case: Case, ours: Editor, peers: dict[str, Editor], missing: dict[str, str], rounds: int
) -> Iterator[Row]:
    rows: dict[str, Row] = {name: {"problem": why} for name, why in missing.items()}
    mine: dict[str, str] = {}  # whose edits: the key of ours
    for name, editor in peers.items():
        try:
            chains = editor.take(case.name, case)
            if chains is None:
                continue
            counterpart = Case(case.name, tuple(chains), case.pictures, case.bound)
            mine[name] = str(counterpart)
            if mine[name] not in list(mine.values())[:-1]:
                ours.take(mine[name], counterpart)
            rows[name] = {
                "difference": compared(editor.answer(case.name), ours.answer(mine[name]), case.bound)
            }
        except (PeerError, ValueError) as error:
            rows[name] = {"problem": str(error)}
    alike = [name for name, row in rows.items() if "problem" not in row]
    turns = {("ours", mine[name]): ours for name in alike} | {
        (name, case.name): peers[name] for name in alike
    }
    seconds = _in_turns({turn: partial(engine.seconds, turn[1]) for turn, engine in turns.items()}, rounds)
    for name in EDITORS:
        if name not in rows:
            continue
        row = {"part": "chains" if case.name == "chains" else "edits", "case": case.name, "peer": name}
        if name in alike:
            row |= _beside(seconds["ours", mine[name]], seconds[name, case.name])
        yield row | rows[name]


def resizing(paths: list[Path], amount: Amount, cores: tuple[int, ...]) -> Iterator[Row]:
    """A row for each peer and number of cores."""
    job = {num: Job(tuple(paths[: amount.resized]), num) for num in cores}
    with ExitStack() as stack:
        ours = _loader(stack, "ours")
        peers, missing = _started(RESIZERS, lambda name: _loader(stack, name))
        for num in cores:
            ours.take(str(num), job[num])
            yield from _loaded(
                "resize",
                job[num],
                RESIZERS,
                {name: (ours, str(num)) for name in peers},
                peers,
                missing,
                amount.rounds,
            )


def viewing(paths: list[Path], amount: Amount, cores: tuple[int, ...]) -> Iterator[Row]:
    """A row for each peer and number of cores; ours has the peer's edits alone, and traces its views."""
    some = tuple(paths[: amount.viewed])
    chains = drawn_chains(2 * len(some))
    with ExitStack() as stack:
        ours = _loader(stack, "ours")
        peers, missing = _started(EDITORS, lambda name: _loader(stack, name))
        for num in cores:
            job = Job(some, num, chains, batch=32)  # several for each worker
            mine = {name: (ours, f"{num} {name}") for name in peers}
            yield from _loaded("views", job, EDITORS, mine, peers, missing, amount.viewed_rounds)


def _loaded(
    part: str,
    job: Job,
    names: tuple[str, ...],
    mine: dict[str, tuple[Loader, str]],
    peers: dict[str, Loader],
    missing: dict[str, str],
    rounds: int,
) -> Iterator[Row]:
    """mine: our engine beside each peer, and its job's key there; what isn't there yet is taken."""
    bound = RESIZED_BOUND if part == "resize" else None
    rows: dict[str, Row] = {name: {"problem": why} for name, why in missing.items()}
    key = f"{part} {job.cores}"
    for name, loader in peers.items():
        try:
            chains = loader.take(key, job)
            ours, ours_key = mine[name]
            if part == "views":
                ours.take(ours_key, replace(job, chains=chains))
            rows[name] = {"difference": compared(loader.answer(key), ours.answer(ours_key), bound)}
        except (PeerError, ValueError) as error:
            rows[name] = {"problem": str(error)}
    alike = [name for name, row in rows.items() if "problem" not in row]
    turns = {("ours", mine[name][1]): mine[name][0] for name in alike} | {
        (name, key): peers[name] for name in alike
    }
    seconds = _in_turns({turn: partial(engine.seconds, turn[1]) for turn, engine in turns.items()}, rounds)
    for name in names:
        row: Row = {"part": part, "cores": job.cores, "peer": name}
        if name in alike:
            our_turn = ("ours", mine[name][1])
            row |= _beside(
                *(
                    [taken.wall_s / job.num_made for taken in seconds[turn]]
                    for turn in (our_turn, (name, key))
                )
            )
            row["cpu_times"] = _median_cpu(seconds[name, key]) / _median_cpu(seconds[our_turn])
        yield row | rows[name]


def tracing(paths: list[Path], amount: Amount) -> Iterator[Row]:
    chains = drawn_chains(amount.chained)
    photos = pictures(paths[: amount.chained], PHOTO_SIZE)
    tracer = Tracer(chains, photos, pictures(paths[: amount.edited], (EDGE_PX, EDGE_PX)))
    try:
        seconds = _in_turns(
            {what: partial(tracer.seconds, what) for what in ("draw", "trace", "content")}, amount.rounds
        )
    finally:
        tracer.close()
    yield {"part": "tracing", **{f"{what}_s": statistics.median(values) for what, values in seconds.items()}}


def memory(paths: list[Path], amount: Amount, cores: int) -> Iterator[Row]:
    some = tuple(paths[: amount.resized])
    running = LongRun(Job(some, cores, drawn_chains(2 * len(some))))
    try:
        for mark in amount.marks:
            yield {"part": "memory", "views": mark, "bytes": running.bytes_after(mark)}
    finally:
        running.close()


def on_gpu(paths: list[Path], amount: Amount) -> Iterator[Row]:
    """A row for each engine, with all cores of the machine beside the GPU."""
    job = Job(tuple(paths), len(os.sched_getaffinity(0)), batch=256)
    yield from _absolute("decode + resize", ("torchvision", "dali", "dali_gpu"), job, amount.viewed_rounds)
    job = replace(job, chains=drawn_chains(2 * len(paths)))
    names = ("torchvision", "ours", "ours_dali_gpu")
    yield from _absolute("views", names, job, amount.viewed_rounds)
    few = paths[: amount.viewed]  # DALI's dynamic mode is slow on a CPU
    job = replace(job, paths=tuple(few), chains=drawn_chains(2 * len(few)))
    yield from _absolute("views", ("ours_dali",), job, amount.viewed_rounds)


def _absolute(case: str, names: tuple[str, ...], job: Job, rounds: int) -> Iterator[Row]:
    with ExitStack() as stack:
        engines, problems = _started(names, lambda name: _loader(stack, name))
        for name, engine in engines.items():
            try:
                engine.take(case, job)
            except PeerError as error:
                problems[name] = str(error)
        turns = {name: partial(engines[name].seconds, case) for name in names if name not in problems}
        passes = _in_turns(turns, rounds)
    for name in names:
        row = {"part": "gpu", "case": case, "engine": name, "cores": job.cores}
        if name in problems:
            yield row | {"problem": problems[name]}
        else:
            yield row | {"per_s": job.num_made / statistics.median(taken.wall_s for taken in passes[name])}


def _loader(stack: ExitStack, name: str) -> Loader:
    loader = Loader(name)
    stack.callback(loader.close)
    return loader


def _started(names: tuple[str, ...], start: Callable[[str], Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The engines that could be started, and why others could not."""
    started, missing = {}, {}
    for name in names:
        try:
            started[name] = start(name)
        except PeerError as error:
            missing[name] = str(error)
    return started, missing


def _median_cpu(passes: list[Pass]) -> float:
    return statistics.median(taken.cpu_s for taken in passes)


def _in_turns(work: Mapping[Any, Callable[[], Taken]], rounds: int) -> dict[Any, list[Taken]]:
    seconds: dict[Any, list[Taken]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, once in work.items():
            seconds[name].append(once())
    return seconds


def _beside(mine: list[float], peers: list[float]) -> Row:
    """Seconds a picture, and how many times as fast ours is."""
    ours_s, peer_s = statistics.median(mine), statistics.median(peers)
    spread = {"ours_spread": _spread(mine), "peer_spread": _spread(peers)}
    return {"ours_s": ours_s, "peer_s": peer_s, "times": peer_s / ours_s, **spread}


def _spread(seconds: list[float]) -> float:
    """Half the distance of the quartiles, as a share of the median."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return (high - low) / 2 / middle


def compared(theirs: list[Pixels], mine: list[Pixels], bound: float | None) -> float | None:
    """The mean absolute difference in grey levels, of the worst picture; ValueError above the bound.

    None where the pixels aren't comparable; sizes always are, but for rounding.
    """
    worst = 0.0
    for one, other in zip(theirs, mine, strict=True):
        if max(abs(a - b) for a, b in zip(one.shape, other.shape, strict=True)) > _ROUNDED_PX:
            raise ValueError(f"its picture has the shape {one.shape}, ours {other.shape}")
        height, width = (min(a, b) for a, b in zip(one.shape[:2], other.shape[:2], strict=True))
        worst = max(worst, float(np.abs(_middle(one, height, width) - _middle(other, height, width)).mean()))
    if bound is None:
        return None
    if worst > bound:
        raise ValueError(f"its pixels are {worst:.1f} grey levels from ours, the bound is {bound}")
    return worst


def _middle(pixels: Pixels, height: int, width: int) -> np.ndarray:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width].astype(np.int16)


def _line(row: Row) -> str:
    if row["part"] == "tracing":
        return "  " + ", ".join(
            f"{what} {1e6 * row[f'{what}_s']:.0f} us" for what in ("draw", "trace", "content")
        )
    if row["part"] == "gpu":
        figure = row["problem"] if "problem" in row else f"{row['per_s']:9.0f} /s"
        return f"  {row['case']:<18} {row['engine']:<16} {figure}"
    if row["part"] == "memory":
        return f"  {row['views']:>7,} views {row['bytes'] / 1e6:8.1f} MB"
    what = row.get("case") or f"{row['cores']} cores"
    if "problem" in row:
        return f"  {what:<18} {row['peer']:<16} {row['problem']}"
    difference = "" if row["difference"] is None else f"  differs by {row['difference']:.1f}"
    rates = (
        f"{1 / row['peer_s']:9.0f} /s, ours {1 / row['ours_s']:9.0f} /s (+-{100 * row['ours_spread']:.0f} %)"
    )
    cpu = f" (CPU time x {row['cpu_times']:.2f})" if "cpu_times" in row else ""
    return f"  {what:<18} {row['peer']:<16} {rates}  x {row['times']:.2f}{cpu}{difference}"

"""ratio_search, quickly. Bound: num_valid_pairs * D multiply-adds at the int8 peak of the threads in use.

The engines are those of benchmarks/search, each in its own process: NumPy in blocks with the predicate as a
mask, ours, and FAISS IndexFlatIP with the predicate applied to what it finds; same rows, same threads.
Figures: pairs/s, where every (query, reference) counts whether or not it passes, so that skipped work is
speed. `make bench-search` measures more peers, sizes and goals, and the integer peak.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.search.cases import Case
from benchmarks.search.data import Data, Work
from benchmarks.search.engines import engine_named
from benchmarks.search.oracle import exact_answer
from benchmarks.search.worker import Worker

ENGINES = ("numpy", "ours", "flat")


@pytest.fixture(params=[1, 2], ids=["threads=1", "threads=2"])
def num_threads(request: pytest.FixtureRequest) -> int:
    if len(os.sched_getaffinity(0)) < request.param:
        pytest.skip(f"this machine lends {len(os.sched_getaffinity(0))} core")
    return int(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest.fixture(params=[1.0, 0.5], ids=["share=1.0", "share=0.5"])
def work(request: pytest.FixtureRequest, folder: Path, num_threads: int) -> Work:
    case = Case(num_refs=200_000, share=request.param, num_threads=num_threads)
    return Data(folder, [case], None).work(case)


@pytest.mark.parametrize("name", ENGINES)
def bench_ratio_search(benchmark: Any, name: str, work: Work) -> None:
    engine = engine_named(name)
    worker = Worker(engine.family, work)
    try:
        worker.seconds(engine.way)
        answer = exact_answer(work).check(work, worker.answer(engine.way), exact=engine.exact)
        benchmark.pedantic(worker.seconds, (engine.way,), rounds=5)
    finally:
        worker.close()
    pairs_per_s = work.num_queries * work.num_refs / benchmark.stats["median"]
    benchmark.extra_info.update(engine=name, pairs_per_s=round(pairs_per_s), answer=answer)
    print(f"\n{name}: {benchmark.extra_info}")

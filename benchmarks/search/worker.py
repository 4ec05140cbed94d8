"""The search engines' side of benchmarks/process.py."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.process import EngineProcess, serve, status_bytes
from benchmarks.search.data import Work
from benchmarks.search.engines import environment, make

PATIENCE_SECONDS = 300


class Worker(EngineProcess):
    """A running engine of `family`, prepared for `work` in prepare_s. PeerError if it can't be."""

    def __init__(self, family: str, work: Work) -> None:
        variables = environment(family, work.num_threads)
        super().__init__(_serve, (family, work), patience_s=PATIENCE_SECONDS, environment=variables)
        self.prepare_s: float = self.ready

    def seconds(self, way: str) -> float:
        """Run it once."""
        return float(self.ask(("run", way)))

    def answer(self, way: str) -> NDArray[np.int64]:
        """What the last run of this way found."""
        found: NDArray[np.int64] = self.ask(("answer", way))
        return found

    def told(self) -> dict[str, Any]:
        """What the engine has to say, and the most memory its process has had."""
        return dict(self.ask(("told", "")))


def _serve(connection: Connection, family: str, work: Work) -> None:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: work.num_threads]))

    def get_ready() -> tuple[float, Callable[[tuple[str, str]], Any]]:
        start = time.perf_counter()
        engine = make(family, work)
        return time.perf_counter() - start, functools.partial(_answer, engine, {})

    serve(connection, get_ready)


def _answer(engine: Any, found: dict[str, NDArray[np.int64]], message: tuple[str, str]) -> Any:
    what, way = message
    if what == "told":
        return {**engine.told, "peak_bytes": status_bytes("VmHWM")}
    if what == "answer":
        return found[way]
    engine.ready(way)
    start = time.perf_counter()
    found[way] = engine.run(way)
    return time.perf_counter() - start

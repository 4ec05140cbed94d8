"""The search engines' side of benchmarks/process.py."""

from __future__ import annotations

import contextlib
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.process import EngineProcess
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
    """Prepare, then answer until nobody asks; what fails is told and the next question awaited."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: work.num_threads]))
    found: dict[str, NDArray[np.int64]] = {}

    def answer(what: str, way: str) -> Any:
        if what == "told":
            return {**engine.told, "peak_bytes": _peak_bytes()}
        if what == "answer":
            return found[way]
        engine.ready(way)
        start = time.perf_counter()
        found[way] = engine.run(way)
        return time.perf_counter() - start

    try:
        start = time.perf_counter()
        engine = make(family, work)
        connection.send((True, time.perf_counter() - start))
    except Exception as error:
        connection.send((False, _line(error)))
        return
    with contextlib.suppress(EOFError):
        while True:
            asked = connection.recv()
            try:
                reply = (True, answer(*asked))
            except Exception as error:
                reply = (False, _line(error))
            connection.send(reply)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _peak_bytes() -> int:
    """VmHWM of this process."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024

"""An engine in a process of its own: its memory is its own, and its end ends nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.data import Work
from benchmarks.search.engines import environment, make

PATIENCE_SECONDS = 300


class PeerError(Exception):
    """The engine could not do it; the text says why, in one line."""


class Worker:
    """A running engine of `family`, prepared for `work`. PeerError if it can't be."""

    def __init__(self, family: str, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, family, work), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment(family, work.num_threads))
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        other.close()
        try:
            self.prepare_s: float = self._reply()
        except PeerError:
            self.close()
            raise

    def seconds(self, way: str) -> float:
        """Run it once."""
        return float(self._ask("run", way))

    def answer(self, way: str) -> NDArray[np.int64]:
        """What the last run of this way found."""
        found: NDArray[np.int64] = self._ask("answer", way)
        return found

    def told(self) -> dict[str, Any]:
        """What the engine has to say, and the most memory its process has had."""
        return dict(self._ask("told", ""))

    def close(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()

    def _ask(self, what: str, way: str) -> Any:
        try:
            self._connection.send((what, way))
        except OSError:
            raise PeerError(self._death()) from None
        return self._reply()

    def _reply(self) -> Any:
        try:
            if not self._connection.poll(PATIENCE_SECONDS):
                self._process.kill()
                raise PeerError(f"no answer within {PATIENCE_SECONDS} s")
            good, value = self._connection.recv()
        except (EOFError, OSError):
            raise PeerError(self._death()) from None
        if not good:
            raise PeerError(value)
        return value

    def _death(self) -> str:
        self._process.join(5)
        return f"its process ended with status {self._process.exitcode}"


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

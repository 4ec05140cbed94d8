"""A worker process as the executor sees it."""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from asl_fast.views.making import MadePhoto, PhotoOrder
from asl_fast.views.messages import plain_chain, receive, send, trace_of
from asl_fast.views.sources import PhotoSource

# Not multiprocessing: that would run the user's script again in every worker, and pickle.
_START = (
    "import json, sys; sys.path = json.loads(sys.argv[1]); "
    "from asl_fast.views.worker import serve; serve(*map(int, sys.argv[2:]))"
)
_PATIENCE_S = 10


class WorkerProcess:
    """Makes views in a process of its own, which asks for photos here and lives no longer than this one."""

    def __init__(self, source: PhotoSource, cache_bytes: int) -> None:
        self._source = source
        self._shared_fd = _unnamed_file()
        self._shared: mmap.mmap | None = None
        self._fault: Exception | None = None
        options = [json.dumps(sys.path), str(self._shared_fd), str(len(source)), str(cache_bytes)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._shared_fd,),
            # a worker is one thread: pools that BLAS libraries start on import would only take memory
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def make(self, orders: Sequence[PhotoOrder]) -> list[MadePhoto]:
        """As `Maker.make`. RuntimeError if the process has died."""
        rows = [row for order in orders for row in order.rows]
        shared = self._memory(sum(row.nbytes for row in rows))
        told = [[order.photo, [plain_chain(chain) for chain in order.chains]] for order in orders]
        self._fault = None
        answer = self._asked({"edge_px": rows[0].shape[0], "orders": told}, orders)
        if "error" in answer:
            if self._fault is not None:
                raise self._fault
            if answer["error"] == "ValueError":
                raise ValueError(answer["text"])
            raise RuntimeError(f"views: a fault in a worker process; {self._among(orders)}\n{answer['text']}")
        for number, row in enumerate(rows):
            row[:] = np.frombuffer(shared, np.uint8, row.nbytes, number * row.nbytes).reshape(row.shape)
        return [
            MadePhoto(photo, [trace_of(plain) for plain in traces], dict(broken))
            for photo, traces, broken in answer["made"]
        ]

    def end(self) -> None:
        """End the process; whoever waits for its answer gets a RuntimeError."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """After `end`, when nobody waits any more."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what was not flushed is of no use to anyone
            self._process.stdin.close()
        self._process.stdout.close()
        if self._shared is not None:
            self._shared.close()
        os.close(self._shared_fd)

    def _asked(self, task: dict[str, Any], orders: Sequence[PhotoOrder]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            send(self._process.stdin, task)
            while True:
                answer = cast(dict[str, Any], receive(self._process.stdout))
                if "read" not in answer:
                    return answer
                for number in answer["read"]:
                    send(self._process.stdin, self._data(number))
                    if self._fault is not None:
                        break
        except (EOFError, BrokenPipeError):
            status = self._process.wait(_PATIENCE_S)
            ended = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
            raise RuntimeError(
                f"views: a worker process {ended}; {self._among(orders)} If memory ran out, use fewer workers"
            ) from None

    def _data(self, number: int) -> bytes | dict[str, Any]:
        try:
            return self._source.data(number)
        except OSError as error:
            return {"errno": error.errno or errno.EIO, "text": error.strerror or str(error)}
        except Exception as fault:  # of the source: raised once the worker has given the orders up
            self._fault = fault
            return {"fault": str(fault)}

    def _among(self, orders: Sequence[PhotoOrder]) -> str:
        places = ", ".join(self._source.place(order.photo) for order in orders)
        return f"it made views of {places}."

    def _memory(self, num_bytes: int) -> mmap.mmap:
        if self._shared is None or len(self._shared) < num_bytes:
            os.ftruncate(self._shared_fd, num_bytes)
            self._shared = mmap.mmap(self._shared_fd, num_bytes)
        return self._shared


def _unnamed_file() -> int:
    """A file that only its descriptor leads to: in memory on Linux, in the temporary folder elsewhere."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("asl_fast-views")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())

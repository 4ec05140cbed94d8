"""A worker process: views on order, until its input ends, which it does when the executor is gone."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.views.making import Maker, PhotoOrder
from asl_fast.views.messages import chain_of, plain_trace, receive, send


def serve(shared_fd: int, num_photos: int, cache_bytes: int) -> None:
    """Orders on stdin, answers on stdout, pixels in the file of `shared_fd`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal; the executor decides
    orders = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    maker = Maker(_Asking(orders, answers), num_photos, cache_bytes)
    shared = _Shared(shared_fd)
    try:
        while True:
            task = receive(orders)
            assert isinstance(task, dict)
            send(answers, _answer(maker, task, shared))
    except (EOFError, BrokenPipeError):
        # nobody is left to hear of it; the interpreter's own flush at exit would fail again
        os._exit(0)


def _answer(maker: Maker, task: dict[str, Any], shared: _Shared) -> dict[str, Any]:
    try:
        made = maker.make(_orders(task, shared))
    except (EOFError, BrokenPipeError):
        raise
    except ValueError as error:
        return {"error": "ValueError", "text": str(error)}
    except Exception:
        return {"error": "other", "text": traceback.format_exc()}
    return {
        "made": [
            [one.photo, [plain_trace(trace) for trace in one.traces], list(one.broken.items())]
            for one in made
        ]
    }


def _orders(task: dict[str, Any], shared: _Shared) -> list[PhotoOrder]:
    """The executor reads the rows in the order of the chains."""
    edge_px = task["edge_px"]
    num_views = sum(len(chains) for _, chains in task["orders"])
    row = iter(shared.array((num_views, edge_px, edge_px, 3)))
    return [
        PhotoOrder(photo, [chain_of(plain) for plain in chains], [next(row) for _ in chains])
        for photo, chains in task["orders"]
    ]


class _Asking:
    """The executor's photos, asked for over the pipe."""

    def __init__(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        self._orders = orders
        self._answers = answers

    def __call__(self, numbers: Sequence[int]) -> list[bytes | OSError]:
        send(self._answers, {"read": list(numbers)})
        return [self._next() for _ in numbers]

    def _next(self) -> bytes | OSError:
        data = receive(self._orders)
        if isinstance(data, bytes):
            return data
        if "fault" in data:  # the last that comes
            raise RuntimeError(data["fault"])
        return OSError(data["errno"], data["text"])


class _Shared:
    """Memory shared with the executor, which makes it larger when an order needs more."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._memory: mmap.mmap | None = None

    def array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        num_bytes = int(np.prod(shape))
        if self._memory is None or len(self._memory) < num_bytes:
            self._memory = mmap.mmap(self._fd, os.fstat(self._fd).st_size)
        return np.frombuffer(self._memory, np.uint8, num_bytes).reshape(shape)

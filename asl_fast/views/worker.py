"""A worker process: views on order, until its input ends, which it does when the executor is gone."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import traceback
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits import Chain
from asl_fast.views.making import Maker
from asl_fast.views.messages import plain_trace, receive, send


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
            order = receive(orders)
            assert isinstance(order, dict)
            send(answers, _answer(maker, order, shared))
    except (EOFError, BrokenPipeError):
        # nobody is left to hear of it; the interpreter's own flush at exit would fail again
        os._exit(0)


def _answer(maker: Maker, order: dict[str, Any], shared: _Shared) -> dict[str, Any]:
    chains = [Chain.from_json(text) for text in order["chains"]]
    edge_px = order["edge_px"]
    rows = list(shared.array((len(chains), edge_px, edge_px, 3)))
    try:
        made = maker.make(order["photo"], chains, rows)
    except (EOFError, BrokenPipeError):
        raise
    except ValueError as error:
        return {"error": "ValueError", "text": str(error)}
    except Exception:
        return {"error": "other", "text": traceback.format_exc()}
    return {
        "made": made.photo,
        "traces": [plain_trace(trace) for trace in made.traces],
        "broken": list(made.broken.items()),
    }


class _Asking:
    """The executor's photos, asked for over the pipe."""

    def __init__(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        self._orders = orders
        self._answers = answers

    def __call__(self, number: int) -> bytes:
        send(self._answers, {"data": number})
        data = receive(self._orders)
        if isinstance(data, bytes):
            return data
        if "fault" in data:
            raise RuntimeError(data["fault"])
        raise OSError(data["errno"], data["text"])


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

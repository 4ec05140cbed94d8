"""Views on the CPU: photos decoded by `images`, chains drawn and traced by `edits`, in worker processes."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from asl_fast.cores import num_cores
from asl_fast.edits import Trace
from asl_fast.images import Failure
from asl_fast.views.making import MadePhoto, Maker, PhotoOrder, Read
from asl_fast.views.orders import MadeViews, ViewOrder, edge_of
from asl_fast.views.processes import WorkerProcess
from asl_fast.views.sources import PhotoSource

_MOST_AT_ONCE = 4  # photos in one message to a worker


class _Makes(Protocol):
    """A Maker, or the process that has one."""

    def make(self, orders: Sequence[PhotoOrder], /) -> list[MadePhoto]: ...


class CpuExecutor:
    """See `ViewExecutor`. `make` may be called from several threads. Close it: processes are waiting.

    num_workers: processes; 0 makes the views in this one, one at a time.  None: one for each core.
    cache_bytes: of decoded photos that are kept for later batches, all workers together.
    """

    def __init__(
        self, source: PhotoSource, *, num_workers: int | None = None, cache_bytes: int = 256 << 20
    ) -> None:
        if len(source) == 0:
            raise ValueError("views: the source holds no photos; there must be at least one")
        num = num_cores() if num_workers is None else num_workers
        if num < 0 or cache_bytes < 0:
            raise ValueError(
                f"views: num_workers and cache_bytes must be 0 or more, got {num} and {cache_bytes}"
            )
        self._source = source
        self._told: set[int] = set()
        self._lock = threading.Lock()
        processes = [WorkerProcess(source, cache_bytes // num) for _ in range(num)]
        makers: Sequence[_Makes] = processes or [Maker(_reader(source), len(source), cache_bytes)]
        # One thread for each waits for its answers; whichever is free takes the next photo.
        self._free: queue.SimpleQueue[_Makes] = queue.SimpleQueue()
        for maker in makers:
            self._free.put(maker)
        self._num_makers = len(makers)
        self._threads = ThreadPoolExecutor(len(makers), thread_name_prefix="asl_fast-views")
        self._stop = weakref.finalize(self, _stop, self._threads, processes, os.getpid())

    def make(self, orders: Sequence[ViewOrder]) -> MadeViews:
        """See `ViewExecutor`. RuntimeError if a worker process has died."""
        edge_px = edge_of(orders, len(self._source))
        pixels_BHWC = np.empty((len(orders), edge_px, edge_px, 3), np.uint8)
        rows_of: dict[int, list[int]] = {}
        for row, order in enumerate(orders):
            rows_of.setdefault(order.photo, []).append(row)
        by_photo = [
            PhotoOrder(photo, [orders[row].chain for row in rows], [pixels_BHWC[row] for row in rows])
            for photo, rows in rows_of.items()
        ]
        made_photos = self._made_photos(by_photo)
        trace_of_row: dict[int, Trace] = {}
        photo_B = np.empty(len(orders), np.int64)
        broken: dict[int, str] = {}
        for rows, made in zip(rows_of.values(), made_photos, strict=True):
            photo_B[rows] = made.photo
            trace_of_row.update(zip(rows, made.traces, strict=True))
            broken |= made.broken
        return MadeViews(
            pixels_BHWC=pixels_BHWC,
            trace_B=tuple(trace_of_row[row] for row in range(len(orders))),
            photo_B=photo_B,
            failures=self._not_told(broken),
        )

    def close(self) -> None:
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _made_photos(self, orders: list[PhotoOrder]) -> list[MadePhoto]:
        """Some photos at a time, so that the last worker isn't long alone and few messages are sent."""
        step = max(1, min(_MOST_AT_ONCE, len(orders) // (2 * self._num_makers)))
        coming = [
            self._threads.submit(self._made, orders[first : first + step])
            for first in range(0, len(orders), step)
        ]
        try:
            return [made for future in coming for made in future.result()]
        finally:
            for future in coming:
                future.cancel()

    def _made(self, orders: list[PhotoOrder]) -> list[MadePhoto]:
        maker = self._free.get()
        try:
            return maker.make(orders)
        finally:
            self._free.put(maker)

    def _not_told(self, broken: dict[int, str]) -> tuple[Failure, ...]:
        """Workers find the same photo broken, each on its own."""
        with self._lock:
            new = sorted(broken.keys() - self._told)
            self._told.update(new)
        source = self._source
        return tuple(
            Failure(id=source.name(photo), path=source.place(photo), reason=broken[photo]) for photo in new
        )


def _stop(threads: ThreadPoolExecutor, processes: list[WorkerProcess], owner: int) -> None:
    if os.getpid() != owner:  # a fork: the processes are its parent's
        return
    threads.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.end()
    threads.shutdown(wait=True)
    for process in processes:
        process.close()


def _reader(source: PhotoSource) -> Read:
    def read(number: int) -> bytes | OSError:
        try:
            return source.data(number)
        except OSError as error:
            return error

    return lambda numbers: [read(number) for number in numbers]

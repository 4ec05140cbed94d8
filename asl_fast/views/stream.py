"""Batches of views made ahead of the one who uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from asl_fast.views.orders import MadeViews, ViewExecutor, ViewOrder


def stream(
    executor: ViewExecutor, batches: Iterable[Sequence[ViewOrder]], *, ahead: int = 2
) -> Iterator[MadeViews]:
    """The views of each batch of orders, in order; up to `ahead` batches are made before they are asked for.

    An exception of the executor or of `batches` comes out at its batch's turn. Closing the iterator waits
    for the batches that are being made and leaves no thread; the executor stays open.
    """
    if ahead < 1:
        raise ValueError(f"stream: ahead must be 1 or more, got {ahead}")
    return _made(executor, iter(batches), ahead)


def _made(executor: ViewExecutor, batches: Iterator[Sequence[ViewOrder]], ahead: int) -> Iterator[MadeViews]:
    def make(drawn: Future[Sequence[ViewOrder] | None]) -> MadeViews | None:
        orders = drawn.result()
        return None if orders is None else executor.make(orders)

    drawing = ThreadPoolExecutor(1, thread_name_prefix="asl_fast-orders")
    making = ThreadPoolExecutor(ahead, thread_name_prefix="asl_fast-stream")
    coming: deque[Future[MadeViews | None]] = deque()

    def ask() -> None:
        coming.append(making.submit(make, drawing.submit(next, batches, None)))

    try:
        for _ in range(ahead):
            ask()
        while (made := coming.popleft().result()) is not None:
            ask()
            yield made
    finally:
        drawing.shutdown(wait=False, cancel_futures=True)
        making.shutdown(wait=True, cancel_futures=True)
        drawing.shutdown(wait=True)

"""Batches of views made ahead of the one who uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

Orders = TypeVar("Orders")
Made = TypeVar("Made")
_Orders_in = TypeVar("_Orders_in", contravariant=True)
_Made_out = TypeVar("_Made_out", covariant=True)


class Makes(Protocol[_Orders_in, _Made_out]):
    """A `ViewExecutor`, or what wraps one: `make` is called from several threads at once."""

    def make(self, orders: _Orders_in, /) -> _Made_out: ...


def stream(
    executor: Makes[Orders, Made], batches: Iterable[Orders], *, ahead: int = 2
) -> Generator[Made, None, None]:
    """What is made of each batch of orders, in order; up to `ahead` are made before they are asked for.

    An exception of the executor or of `batches` comes out at its batch's turn. Closing the iterator waits
    for the batches that are being made and leaves no thread; the executor stays open.
    """
    if ahead < 1:
        raise ValueError(f"stream: ahead must be 1 or more, got {ahead}")
    return _made(executor, iter(batches), ahead)


def _made(
    executor: Makes[Orders, Made], batches: Iterator[Orders], ahead: int
) -> Generator[Made, None, None]:
    def make(drawn: Future[Orders | None]) -> Made | None:
        orders = drawn.result()
        return None if orders is None else executor.make(orders)

    drawing = ThreadPoolExecutor(1, thread_name_prefix="asl_fast-orders")
    making = ThreadPoolExecutor(ahead, thread_name_prefix="asl_fast-stream")
    coming: deque[Future[Made | None]] = deque()

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

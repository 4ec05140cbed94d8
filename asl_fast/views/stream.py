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
    for the batch that is being made and leaves no thread; the executor stays open.
    """
    if ahead < 1:
        raise ValueError(f"stream: ahead must be 1 or more, got {ahead}")
    return _made(executor, iter(batches), ahead)


def _made(executor: ViewExecutor, batches: Iterator[Sequence[ViewOrder]], ahead: int) -> Iterator[MadeViews]:
    def make_next() -> MadeViews | None:
        orders = next(batches, None)
        return None if orders is None else executor.make(orders)

    # One thread: an executor shares the work of a batch out itself, and `batches` is drawn from in order.
    pool = ThreadPoolExecutor(1, thread_name_prefix="asl_fast-views")
    try:
        coming: deque[Future[MadeViews | None]] = deque(pool.submit(make_next) for _ in range(ahead))
        while (made := coming.popleft().result()) is not None:
            coming.append(pool.submit(make_next))
            yield made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""What is ordered, what is made of it, and what an executor promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits import Chain, Fit, Trace
from asl_fast.images import Failure

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ViewOrder:
    """photo: its number in the source.  chain: ends with a Fit that fixes the view's size."""

    photo: int
    chain: Chain


@dataclass(frozen=True, eq=False, kw_only=True)
class MadeViews:
    """One row for each order, in their order.

    pixels_BHWC: uint8 RGB, a NumPy array (CPU executor) or a tensor on the device (DALI).
    trace_B: where each view's pixels came from, in the pixels of the upright photo at its full size.
    photo_B: the photo that was used, another than ordered where that one is broken.
    failures: the broken photos that this executor has not told of before.
    """

    pixels_BHWC: NDArray[np.uint8] | Tensor
    trace_B: tuple[Trace, ...]
    photo_B: NDArray[np.int64]
    failures: tuple[Failure, ...]

    def __post_init__(self) -> None:
        if not len(self.pixels_BHWC) == len(self.trace_B) == len(self.photo_B):
            raise ValueError(
                f"made views: {len(self.pixels_BHWC)} pictures, {len(self.trace_B)} traces and "
                f"{len(self.photo_B)} photos must be as many"
            )


class ViewExecutor(Protocol):
    """Makes views. The same orders give the same pixels and traces, however many threads or processes work.

    `PhotoPatch` of an edit takes its photo from the same source, as a share of its length.
    A photo that can't be read or decoded is replaced by the next one (the first after the last), told of
    once, and not tried again.
    `make` may be called from several threads at once, as `stream` does: the next batch then keeps busy what
    has nothing left to do for this one. An executor that can't do that takes a lock.
    """

    def make(self, orders: Sequence[ViewOrder], /) -> MadeViews:
        """The views of a batch. ValueError for orders that can't be a batch, or if all photos are broken."""
        ...

    def close(self) -> None:
        """Stop threads and processes. Nothing can be made after that; closing twice is no fault."""
        ...


def edge_of(orders: Sequence[ViewOrder], num_photos: int) -> int:
    """The edge in pixels of all these views; 0 of none. ValueError if they have no common one."""
    edges = {_edge(order, num_photos) for order in orders}
    if len(edges) > 1:
        raise ValueError(
            f"views: all views of a batch must have one size, got edges of {sorted(edges)} px; "
            "end every chain with the same Fit"
        )
    return edges.pop() if edges else 0


def _edge(order: ViewOrder, num_photos: int) -> int:
    if not 0 <= order.photo < num_photos:
        raise ValueError(
            f"views: photo must be a number from 0 to {num_photos - 1}, got {order.photo}; "
            "order from the source that the executor has"
        )
    last = order.chain.edits[-1] if order.chain.edits else None
    if not isinstance(last, Fit) or last.way == "within":
        raise ValueError(
            f'views: a chain must end with a Fit of way "square" or "middle", got {order.chain}; '
            "append one, or give `fit` to the recipe"
        )
    return last.edge_px


def shard_of(num_photos: int, rank: int, world: int) -> range:
    """The photos of one rank out of `world`: every world-th one, so that shares differ by one at most."""
    if num_photos < 0 or world < 1 or not 0 <= rank < world:
        raise ValueError(
            "shard_of: num_photos must be 0 or more and rank from 0 to world - 1, "
            f"got {num_photos}, rank {rank} of {world}"
        )
    return range(rank, num_photos, world)

"""Orders in, a tensor of views out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from asl_fast.cores import num_cores
from asl_fast.edits import Trace, trace
from asl_fast.edits.patches import PhotoPatch
from asl_fast.edits.steps import Onto, Over, Size
from asl_fast.views.dali.drawing import draw
from asl_fast.views.dali.layers import Others
from asl_fast.views.dali.lowering import Cut, Operation, Stretch, lowered
from asl_fast.views.dali.moves import stretched_batch
from asl_fast.views.dali.photos import DevicePhotos, Wanted
from asl_fast.views.dali.station import Picture, Station
from asl_fast.views.orders import MadeViews, ViewOrder, edge_of
from asl_fast.views.sources import PhotoSource


class DaliExecutor:
    """See `ViewExecutor`; pixels_BHWC is a tensor on the device.

    device: "cpu" (the same graph, to check it: it is slow there), "cuda" or "cuda:N".
    num_threads: of the CPU, for reading and decoding; None: one for each core.
    On a GPU, pixels may be used on the default stream at once, and on others after `record_stream`.
    Batches are made one at a time: a second thread waits.
    """

    def __init__(self, source: PhotoSource, *, device: str = "cuda", num_threads: int | None = None) -> None:
        if len(source) == 0:
            raise ValueError("views: the source holds no photos; there must be at least one")
        self._station = Station(device, num_cores() if num_threads is None else num_threads)
        self._photos = DevicePhotos(source, self._station)
        self._lock = threading.Lock()

    def make(self, orders: Sequence[ViewOrder]) -> MadeViews:
        edge_px = edge_of(orders, len(self._photos))
        with self._lock, self._station.working():
            try:
                plans, pictures, others = self._decoded(orders)
                pixels_BHWC = self._drawn(plans, pictures, others, edge_px)
            finally:
                self._photos.forget()
            return MadeViews(
                pixels_BHWC=pixels_BHWC,
                trace_B=tuple(plan.traced for plan in plans),
                photo_B=np.array([plan.wanted.photo for plan in plans], np.int64),
                failures=self._photos.not_told(),
            )

    def close(self) -> None:
        with self._lock:
            self._photos.close()
            self._station.close()

    def _decoded(self, orders: Sequence[ViewOrder]) -> tuple[list[_Plan], list[Picture], Others]:
        """What is done to which picture, and the pictures that patches name; anew while photos break."""
        photos = self._photos
        while True:
            photos.read(order.photo for order in orders)
            used = [photos.used(order.photo) for order in orders]
            times = Counter(used)
            plans = [
                _plan(order, photo, photos.size(photo), times[photo] == 1)
                for order, photo in zip(orders, used, strict=True)
            ]
            patches = {other for plan in plans for other in plan.others}
            photos.read(self._number(other) for other in patches)
            wanted_of = {other: Wanted(photos.used(self._number(other))) for other in sorted(patches)}
            wanted = dict.fromkeys([*(plan.wanted for plan in plans), *wanted_of.values()])
            picture_of = photos.decoded(list(wanted))
            if len(picture_of) == len(wanted):
                others = {other: picture_of[one] for other, one in wanted_of.items()}
                return plans, [picture_of[plan.wanted] for plan in plans], others

    def _drawn(
        self, plans: Sequence[_Plan], pictures: Sequence[Picture], others: Others, edge_px: int
    ) -> torch.Tensor:
        if not plans:
            return torch.empty((0, 0, 0, 3), dtype=torch.uint8, device=self._station.torch_device)
        # The last stretch waits for all views: it makes a batch in one piece, handed over as it lies.
        last = Stretch((edge_px, edge_px))
        before = [
            plan.operations[:-1] if plan.operations[-1:] == [last] else plan.operations for plan in plans
        ]
        views = draw(pictures, before, self._station, others)
        return self._station.handed_over(stretched_batch(views, [last.size] * len(views), self._station))

    def _number(self, other: float) -> int:
        """Of the photo that a patch names, as a share of the length of the source."""
        return min(len(self._photos) - 1, int(other * len(self._photos)))


@dataclass(frozen=True)
class _Plan:
    wanted: Wanted
    operations: list[Operation]
    others: list[float]
    traced: Trace


def _plan(order: ViewOrder, photo: int, size: Size, is_alone: bool) -> _Plan:
    """is_alone: no other view of the batch is of this photo, so a crop may be left to the decoder."""
    steps = order.chain.steps(size)
    operations = lowered(steps, size)
    first = operations[0] if operations else None
    part = first if is_alone and isinstance(first, Cut) else None
    operations = operations if part is None else operations[1:]
    others = [
        step.patch.other
        for step in steps
        if isinstance(step, Onto | Over) and isinstance(step.patch, PhotoPatch)
    ]
    return _Plan(Wanted(photo, part), operations, others, trace(steps, size))

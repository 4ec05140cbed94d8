"""Views on the CPU: photos decoded by `images`, chains drawn and traced by `edits`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asl_fast.edits import Pixels
from asl_fast.images import Failure, ImageError, decode
from asl_fast.views.orders import MadeViews, ViewOrder, edge_of
from asl_fast.views.sources import PhotoSource


class CpuExecutor:
    """See `ViewExecutor`."""

    def __init__(self, source: PhotoSource) -> None:
        self._source = source
        self._broken: dict[int, Failure] = {}
        self._told = 0

    def make(self, orders: Sequence[ViewOrder]) -> MadeViews:
        edge_px = edge_of(orders, len(self._source))
        pixels_BHWC = np.empty((len(orders), edge_px, edge_px, 3), np.uint8)
        pool = _Pool(self)
        traces, photos = [], []
        for place, order in enumerate(orders):
            photo, pixels = self.whole(order.photo)
            pixels_BHWC[place], traced = order.chain.view(pixels, pool)
            traces.append(traced)
            photos.append(photo)
        failures = tuple(self._broken.values())[self._told :]
        self._told = len(self._broken)
        return MadeViews(
            pixels_BHWC=pixels_BHWC,
            trace_B=tuple(traces),
            photo_B=np.array(photos, np.int64),
            failures=failures,
        )

    def close(self) -> None:
        pass

    @property
    def num_photos(self) -> int:
        return len(self._source)

    def whole(self, number: int) -> tuple[int, Pixels]:
        """This photo, or the next one that isn't broken."""
        for step in range(self.num_photos):
            photo = (number + step) % self.num_photos
            if photo not in self._broken:
                try:
                    return photo, np.asarray(decode(self._source.data(photo)))
                except (ImageError, OSError) as error:
                    self._broken[photo] = Failure(
                        id=self._source.name(photo), path=self._source.place(photo), reason=_reason(error)
                    )
        first = next(iter(self._broken.values()))
        raise ValueError(
            f"views: none of {self.num_photos} photos can be decoded; the first: {first.path}: {first.reason}"
        )


class _Pool:
    """The photos of an executor, for edits that put two together."""

    def __init__(self, executor: CpuExecutor) -> None:
        self._executor = executor

    def __len__(self) -> int:
        return self._executor.num_photos

    def __getitem__(self, number: int) -> Pixels:
        return self._executor.whole(number)[1]


def _reason(error: ImageError | OSError) -> str:
    if isinstance(error, ImageError):
        return str(error)
    return f"can't be read: {error.strerror or error}"

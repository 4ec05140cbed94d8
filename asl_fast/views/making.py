"""The views of one photo: decoded once, every chain drawn and traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from asl_fast.edits import Chain, Pixels, Trace
from asl_fast.images import ImageError
from asl_fast.views.cache import PhotoCache
from asl_fast.views.scaled import Need, ScaledPhoto, decode_scaled, in_whole_photo, needs_of

_POOL_EDGES = 2  # other photos keep this many times the view's edge: they are laid on pictures of that order


class PhotoOrder(NamedTuple):
    """The chains to be drawn from one photo, and for each the row of a batch to draw it into."""

    photo: int
    chains: Sequence[Chain]
    rows: Sequence[Pixels]


class MadePhoto(NamedTuple):
    """photo: the one that was used.  broken: those found to be broken on the way, with their reasons."""

    photo: int
    traces: list[Trace]
    broken: dict[int, str]


Read = Callable[[Sequence[int]], list[bytes | OSError]]
"""The encoded files of photos by number, all read at once; the error of one that can't be read."""


class Maker:
    """Makes views in the calling thread; not for two threads at once."""

    def __init__(self, read: Read, num_photos: int, cache_bytes: int) -> None:
        self._read = read
        self._num_photos = num_photos
        self._cache = PhotoCache(cache_bytes)
        self._broken: dict[int, str] = {}
        self._at_hand: dict[int, bytes | OSError] = {}

    def make(self, orders: Sequence[PhotoOrder]) -> list[MadePhoto]:
        """Draw every chain of every photo, or of the next photo that isn't broken, into its row."""
        needs = [needs_of(order.chains) for order in orders]
        wanted = [(order.photo, need) for order, need in zip(orders, needs, strict=True)]
        wanted += [(other, _pool_needs(order)) for order in orders for other in self._others(order)]
        coming = dict.fromkeys(
            number
            for number, need in wanted
            if number not in self._broken and self._cache.get(number, need) is None
        )
        self._at_hand = dict(zip(coming, self._read(list(coming)), strict=True)) if coming else {}
        try:
            return [self._made(order, need) for order, need in zip(orders, needs, strict=True)]
        finally:
            self._at_hand.clear()

    def _others(self, order: PhotoOrder) -> Iterator[int]:
        """The photos that edits will take from the pool: they name them in `other` or `others`."""
        for chain in order.chains:
            for edit in chain.edits:
                for share in (*getattr(edit, "others", ()), getattr(edit, "other", None)):
                    if share is not None:
                        yield min(self._num_photos - 1, int(share * self._num_photos))

    def _made(self, order: PhotoOrder, needs: list[Need] | None) -> MadePhoto:
        known = len(self._broken)
        used, photo = self._whole(order.photo, needs)
        pool = _Pool(self, _pool_needs(order))
        traces = []
        for row, chain in zip(order.rows, order.chains, strict=True):
            view = chain.view(photo.pixels, pool)
            row[:] = view.pixels
            traces.append(in_whole_photo(view.trace, photo))
        return MadePhoto(used, traces, dict(list(self._broken.items())[known:]))

    def _whole(self, number: int, needs: list[Need] | None) -> tuple[int, ScaledPhoto]:
        """This photo, or the next one that isn't broken, and its number."""
        for step in range(self._num_photos):
            used = (number + step) % self._num_photos
            photo = None if used in self._broken else self._decoded(used, needs)
            if photo is not None:
                return used, photo
        raise ValueError(
            f"views: none of {self._num_photos} photos can be decoded; photo {number}: {self._broken[number]}"
        )

    def _decoded(self, number: int, needs: list[Need] | None) -> ScaledPhoto | None:
        photo = self._cache.get(number, needs)
        if photo is None:
            try:
                photo = decode_scaled(self._data(number), needs)
            except (ImageError, OSError) as error:
                self._broken[number] = _reason(error)
                return None
            self._cache.put(number, needs, photo)
        return photo

    def _data(self, number: int) -> bytes:
        data = self._at_hand.pop(number) if number in self._at_hand else self._read([number])[0]
        if isinstance(data, OSError):
            raise data
        return data


class _Pool:
    """The photos of a maker, for edits that put two together."""

    def __init__(self, maker: Maker, needs: list[Need]) -> None:
        self._maker = maker
        self._needs = needs

    def __len__(self) -> int:
        return self._maker._num_photos

    def __getitem__(self, number: int) -> Pixels:
        return self._maker._whole(number, self._needs)[1].pixels


def _pool_needs(order: PhotoOrder) -> list[Need]:
    return [Need(1.0, 1.0, _POOL_EDGES * max((row.shape[0] for row in order.rows), default=1))]


def _reason(error: ImageError | OSError) -> str:
    if isinstance(error, ImageError):
        return str(error)
    return f"can't be read: {error.strerror or error}"

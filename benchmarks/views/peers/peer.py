"""What a peer is: a translation of our edits into its own functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from asl_fast.edits import Chain, Edit, Pixels
from asl_fast.edits.steps import Matrix, Size, Step, Warp, size_after

Native = Any  # a picture in the peer's own form
Doing = Callable[[Native], Native]

# A pixel's centre is (0.5, 0.5) in our matrices, and (0, 0) in those of OpenCV and kornia.
_CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_CORNER = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])


class Peer(ABC):
    """edits: how each kind of edit is made ready, given the edit, the picture's size and the other photos.

    Making ready is not timed, and is done once for an edit and a size.
    batches: the peer edits a batch of pictures at once, where all are edited alike.
    """

    name: ClassVar[str]
    edits: ClassVar[dict[type[Edit], Callable[[Any, Size, Sequence[Native]], Doing]]]
    batches: ClassVar[bool] = False

    def __init__(self) -> None:
        self.pool: Sequence[Native] = ()
        self._ready: dict[tuple[Edit, Size], Doing] = {}

    @abstractmethod
    def decode(self, data: bytes) -> Native:
        """A JPEG's pixels, as the peer's users get them."""

    @abstractmethod
    def native(self, pixels: Pixels) -> Native: ...

    @abstractmethod
    def pixels(self, picture: Native) -> Pixels: ...

    @abstractmethod
    def size(self, picture: Native) -> Size:
        """(width, height)"""

    def row(self, picture: Native) -> Any:
        """What a data loader puts into its batches: an array or tensor."""
        return picture

    def one_batch(self, pictures: Sequence[Native]) -> Native:
        raise TypeError(f"{self.name} edits one picture at a time")

    def singles(self, batch: Native) -> Sequence[Native]:
        """The pictures of a batch."""
        raise TypeError(f"{self.name} edits one picture at a time")

    def known(self, chain: Chain) -> Chain:
        """The chain less what the peer can't do."""
        return Chain(tuple(edit for edit in chain.edits if type(edit) in self.edits))

    def counterpart(self, chain: Chain, size: Size) -> Chain:
        """What we do where the peer does `known`: the same, but for what its edit does besides."""
        return self.known(chain)

    def apply(self, chain: Chain, picture: Native) -> Native:
        for edit in chain.edits:
            key = edit, self.size(picture)
            if key not in self._ready:
                self._ready[key] = self.edits[type(edit)](*key, self.pool)
            picture = self._ready[key](picture)
        return picture


def same(picture: Native) -> Native:
    return picture


def warp_of(edit: Edit, size: Size) -> Warp | None:
    """The one step of a geometric edit; None if it leaves the picture as it is."""
    steps: list[Step] = edit.steps(size)
    if not steps:
        return None
    (step,) = steps
    assert isinstance(step, Warp)
    return step


def new_size(edit: Edit, size: Size) -> Size:
    return size_after(edit.steps(size), size)


def box_of(edit: Edit, size: Size) -> tuple[int, int, int, int]:
    """(left, top, width, height) in pixels of a crop."""
    step = warp_of(edit, size)
    if step is None:
        return (0, 0, *size)
    return (-int(step.matrix[0, 2]), -int(step.matrix[1, 2]), *step.size)


def margins_of(edit: Edit, size: Size) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in pixels of a frame."""
    step = warp_of(edit, size)
    assert step is not None
    left, top = int(step.matrix[0, 2]), int(step.matrix[1, 2])
    return (left, top, step.size[0] - size[0] - left, step.size[1] - size[1] - top)


def centred(matrix: Matrix) -> Matrix:
    return _CORNER @ matrix @ _CENTRE


def kernel_px(sigma_px: float) -> int:
    """Edge of a Gaussian kernel, as OpenCV chooses it for bytes: three standard deviations each side."""
    return round(6 * sigma_px + 1) | 1


def bits_of(levels: int) -> int:
    """Of a power of two."""
    return levels.bit_length() - 1


def other_of(share: float, pool: Sequence[Native]) -> Native:
    """The photo that our edits mean by a share of the pool."""
    return pool[min(len(pool) - 1, int(share * len(pool)))]

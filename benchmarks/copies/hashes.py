"""Perceptual hashes of a benchmark's pictures.

PDQ (256 bits, pdqhash) and pHash (64 bits, imagehash), as their packages compute them by default. "PDQ, 8
ways" also has each reference mirrored and in quarter turns, which PDQ offers at little cost, and takes the
nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from asl_fast.images import ImageFile, decode

Bits = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Hash:
    """bits: a picture's hashes, (ways, bits), the first as it is.  ways: how many a reference keeps."""

    name: str
    package: str
    bits: Callable[[Pixels], Bits]
    ways: int = 1


def _pdq(pixels: Pixels) -> Bits:
    return np.array(pdqhash.compute_dihedral(pixels)[0], dtype=bool)


def _phash(pixels: Pixels) -> Bits:
    return np.asarray(imagehash.phash(Image.fromarray(pixels)).hash, dtype=bool).reshape(1, -1)


HASHES = (
    Hash("PDQ", "pdqhash", _pdq),
    Hash("PDQ, 8 ways", "pdqhash", _pdq, ways=8),
    Hash("pHash", "imagehash", _phash),
)


def hashed(way: Hash, files: Sequence[ImageFile]) -> Bits:
    """Hashes of pictures, (pictures, ways, bits)."""
    return np.stack([way.bits(decode(file.read())) for file in files])

"""torchvision on PIL pictures: decode and resize alone, as its older recipes do."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from asl_fast.edits import Fit, Pixels
from asl_fast.edits.steps import Size
from benchmarks.views.peers.peer import Doing, Peer, new_size, same

Picture = Image.Image


def _fit(edit: Fit, size: Size, pool: Sequence[Picture]) -> Doing:
    width, height = new_size(edit, size)
    return same if (width, height) == size else functools.partial(tv.resize, size=[height, width])


class TorchvisionPil(Peer):
    name = "torchvision_pil"
    edits = {Fit: _fit}

    def decode(self, data: bytes) -> Picture:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")

    def native(self, pixels: Pixels) -> Picture:
        return Image.fromarray(pixels)

    def pixels(self, picture: Picture) -> Pixels:
        return np.asarray(picture)

    def row(self, picture: Picture) -> NDArray[np.uint8]:
        return np.array(picture)

    def size(self, picture: Picture) -> Size:
        return picture.size

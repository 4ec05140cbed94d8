"""Ours: a chain as it is, lowered and drawn."""

from __future__ import annotations

import numpy as np

from asl_fast.edits import Chain, Pixels
from asl_fast.edits.steps import Size
from asl_fast.images import decode
from benchmarks.views.peers.peer import Peer


class Ours(Peer):
    name = "ours"
    edits = {}

    def known(self, chain: Chain) -> Chain:
        return chain

    def apply(self, chain: Chain, picture: Pixels) -> Pixels:
        return chain.apply(picture, self.pool)

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(decode(data))

    def native(self, pixels: Pixels) -> Pixels:
        return pixels

    def pixels(self, picture: Pixels) -> Pixels:
        return picture

    def size(self, picture: Pixels) -> Size:
        return (picture.shape[1], picture.shape[0])

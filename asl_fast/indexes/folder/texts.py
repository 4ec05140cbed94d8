"""Many texts as two arrays: where each ends, and the bytes of all. Any Python text can be read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

CODING = ("utf-8", "surrogatepass")  # paths may hold bytes that are no text


class Texts(Sequence[str]):
    """Texts read where they lie. end_N: int64, byte after each; text: uint8, all of them.

    ValueError if the ends make no sense.
    """

    def __init__(self, end_N: NDArray[np.int64], text: NDArray[np.uint8]) -> None:
        if len(end_N) and not (end_N[0] >= 0 and (np.diff(end_N) >= 0).all() and end_N[-1] == len(text)):
            raise ValueError("texts: the ends of the texts are out of order")
        self._end_N = end_N
        self._bytes = memoryview(np.ascontiguousarray(text).data)

    def __len__(self) -> int:
        return len(self._end_N)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} texts")
        return self.raw(int(row) % len(self)).decode(*CODING)

    def raw(self, row: int) -> bytes:
        """The bytes of one text."""
        start = self._end_N[row - 1] if row else 0
        return bytes(self._bytes[start : self._end_N[row]])


def encoded(texts: Iterable[str]) -> list[bytes]:
    return [text.encode(*CODING) for text in texts]


def packed(raw_N: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """end_N and the bytes of all."""
    end_N = np.cumsum(np.fromiter(map(len, raw_N), np.int64, len(raw_N)), dtype=np.int64)
    return end_N, np.frombuffer(b"".join(raw_N), np.uint8)

"""What stands at the head of an .npy, checked before anything believes it."""

from __future__ import annotations

import math
import tokenize
import warnings
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

MOST_TIMES_SMALLER = 1032  # what deflate can do; a file that tells of more than that is lying
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# All that numpy's parser says to a header that is no Python literal, or one of odd values.
_UNREADABLE = (
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


class LyingHeader(ValueError):
    """The header can't be read, or tells of what isn't there."""


class PythonObjects(LyingHeader):
    """The array is a pickle."""


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """shape and dtype of an array, and how many bytes the header takes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header_bytes: int

    @property
    def array_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def check_held(self, file_bytes: int) -> None:
        """LyingHeader if a file of that size can't hold the array."""
        held = file_bytes - self.header_bytes
        if self.array_bytes > held:
            raise LyingHeader(
                f"its header tells of {self.array_bytes} bytes, shape {self.shape}, but {held} are there"
            )


def read_array_header(stream: IO[bytes]) -> ArrayHeader:
    """The header that the stream stands at; it then stands at the values. LyingHeader if it is none."""
    start = stream.tell()
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _READERS:
            raise LyingHeader(f"it is of version {version[0]}.{version[1]}, which plain arrays don't need")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 2's numbers
            shape, _, dtype = _READERS[version](stream)
    except LyingHeader:
        raise
    except _UNREADABLE as error:
        raise LyingHeader(
            f"its header can't be read: {str(error).splitlines()[0] if str(error) else ''}"
        ) from None
    if dtype.hasobject:
        raise PythonObjects("Python objects")
    if dtype.itemsize == 0:
        raise LyingHeader(f"its values are of no size ({dtype})")
    if any(type(length) is not int or not 0 <= length < 1 << 63 for length in shape):
        raise LyingHeader(f"its shape is {shape}")
    return ArrayHeader(shape=shape, dtype=dtype, header_bytes=stream.tell() - start)

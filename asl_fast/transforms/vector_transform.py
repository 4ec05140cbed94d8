"""FAISS's .vt files of linear maps: what faiss.write_VectorTransform writes of a PCAMatrix, and its kin.

A file is a kind of four letters, the fields of that kind, and the fields that all have; numbers are little
endian, a list has its length before it (uint64).

  Pcam        power, epsilon (float32), turned (bool), balanced bins (int32), mean, eigenvalues, eigenvectors
  PcAm        the same without epsilon, as older versions wrote it
  LTra, rrot  nothing of their own
  then        has a bias (bool), matrix, bias, columns in, columns out (int32), is trained (bool)
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.transforms.whitening import Principal, Whitening

SUFFIX = ".vt"
_KINDS = (b"Pcam", b"PcAm", b"LTra", b"rrot")


def write_whitening(path: str | os.PathLike[str], whitening: Whitening) -> None:
    """Replace `path` by a file that faiss.read_VectorTransform reads, too."""
    parts = [b"LTra"]
    if (principal := whitening.principal) is not None:
        lists = (principal.mean_D, principal.eigenvalue_D, principal.vector_DD)
        parts = [b"Pcam", struct.pack("<ff?i", principal.power, 0.0, False, 0), *map(_list, lists)]
    parts += [b"\1", _list(whitening.matrix_ED), _list(whitening.bias_E)]
    num_out, num_in = whitening.matrix_ED.shape
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join([*parts, struct.pack("<ii?", num_in, num_out, True)]))


def read_whitening(path: str | os.PathLike[str]) -> Whitening:
    """A linear map of a .vt file. InputError, one line, for anything else."""
    who = os.fspath(path)
    place = Path(path)
    if not place.is_file():
        raise InputError(f"{who} is no file; asl-fast transform --fit writes one, FAISS's .vt will do too")
    fields = _Fields(place.read_bytes(), who)
    kind = fields.data[:4]
    if kind not in _KINDS:
        raise InputError(
            f"{who}: is no linear map of FAISS (it begins with {kind!r}); give what write_VectorTransform "
            "writes of a PCAMatrix or LinearTransform"
        )
    fields.at = 4
    principal = None
    if kind in (b"Pcam", b"PcAm"):
        power = float(fields.take("<ff?i" if kind == b"Pcam" else "<f?i")[0])
        mean_D, eigenvalue_D, vectors = (fields.take_list() for _ in range(3))
        if len(vectors) == len(mean_D) ** 2:
            vector_DD = vectors.reshape(len(mean_D), len(mean_D))
            principal = Principal(mean_D=mean_D, eigenvalue_D=eigenvalue_D, vector_DD=vector_DD, power=power)
    (has_bias,) = fields.take("<?")
    matrix, bias = fields.take_list(), fields.take_list()
    num_in, num_out, is_trained = fields.take("<ii?")
    fits = num_in > 0 and num_out > 0 and len(matrix) == num_in * num_out
    if not (fits and is_trained and (not has_bias or len(bias) == num_out)):
        raise InputError(
            f"{who}: is not trained or broken (a matrix of {len(matrix)} numbers for {num_in} columns in and "
            f"{num_out} out); fit it again"
        )
    try:
        return Whitening(
            matrix_ED=matrix.reshape(num_out, num_in),
            bias_E=bias if has_bias else np.zeros(num_out, np.float32),
            principal=principal,
            name=who,
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def _list(values: NDArray[np.float32]) -> bytes:
    return struct.pack("<Q", values.size) + np.ascontiguousarray(values, dtype="<f4").tobytes()


class _Fields:
    """The bytes of a file, taken from front to back."""

    def __init__(self, data: bytes, who: str) -> None:
        self.data, self.who, self.at = data, who, 0

    def _taken(self, num_bytes: int) -> bytes:
        if num_bytes > len(self.data) - self.at:
            raise InputError(f"{self.who}: the file is cut off or broken; copy it again or fit it again")
        self.at += num_bytes
        return self.data[self.at - num_bytes : self.at]

    def take(self, format_: str) -> tuple[Any, ...]:
        return struct.unpack(format_, self._taken(struct.calcsize(format_)))

    def take_list(self) -> NDArray[np.float32]:
        (length,) = struct.unpack("<Q", self._taken(8))
        return np.frombuffer(self._taken(4 * length), "<f4").astype(np.float32)

"""Rows as callers have them: which arrays are taken, and what is wrong with the others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C
from asl_fast.records import check_directions

WHO = "ratio_search"
_DLPACK_CPU, _DLPACK_PINNED = 1, 3  # kinds of memory that NumPy reads
BFLOAT16 = np.dtype(np.uint16)  # what the bits of bfloat16 are kept in: NumPy has no such type


@dataclass(frozen=True, kw_only=True)
class StoredRows:
    """Rows that were checked. array_ND: float16, float32, float64, or BFLOAT16 for the bits of bfloat16."""

    array_ND: NDArray[Any]

    def __len__(self) -> int:
        return len(self.array_ND)

    @property
    def num_dims(self) -> int:
        return int(self.array_ND.shape[1])

    def part(self, rows: slice) -> StoredRows:
        """Some of the rows, where they lie."""
        return StoredRows(array_ND=self.array_ND[rows])


def stored_rows(rows: ArrayLike | StoredRows, name: str) -> StoredRows:
    """`rows` as a C-contiguous (N, D) array, in the caller's own memory where it can be.

    bfloat16 comes as a torch.Tensor or an ml_dtypes array. Rows on a GPU (a torch.Tensor, a CuPy array,
    anything of DLPack) are copied from there; rows_there.py uses them there. ValueError says what is wrong.
    """
    if isinstance(rows, StoredRows):
        return rows
    array, is_bfloat16 = _as_array(rows, name)
    if array.ndim == 1:
        raise ValueError(
            f"{WHO}: {name} must have shape (rows, D), got one row of shape {array.shape}; "
            f"pass row[None], shape (1, {len(array)})"
        )
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{WHO}: {name} must have shape (rows, D) with D >= 1, got {array.shape}")
    if not (is_bfloat16 or (array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8))):
        raise ValueError(
            f"{WHO}: {name} must be float16, bfloat16, float32 or float64, got {array.dtype}; "
            "convert them first"
        )
    if not is_bfloat16:
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array = np.require(array, requirements=["C", "A"])
    return StoredRows(array_ND=array.view(BFLOAT16) if is_bfloat16 else array)


def float32_rows(rows: ArrayLike | StoredRows, name: str) -> NDArray[np.float32]:
    """The same as float32; float64 is rounded, the others are kept exactly."""
    return as_float32(stored_rows(rows, name).array_ND)


def as_float32(row_ND: NDArray[Any]) -> NDArray[np.float32]:
    """What `stored_rows` gave, or some of its rows, as float32."""
    if row_ND.dtype == BFLOAT16:
        return (row_ND.astype(np.uint32) << np.uint32(16)).view(np.float32)
    with np.errstate(over="ignore", under="ignore"):  # what overflows is reported by row_norms
        return row_ND.astype(np.float32, copy=False)


def row_norms(
    row_ND: NDArray[Any], name: str, *, num_threads: int = 1, ids: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """sqrt(dot(x, x)) of every row as float32. ValueError names the first row that has no direction."""
    norm_N = _C.row_norms(row_ND, num_threads)
    check_directions(norm_N, f"{WHO}: {name}", ids)
    return norm_N


def checked_norms(norms: ArrayLike, num_rows: int, name: str) -> NDArray[np.float64]:
    """`norms` as float64 (N,), finite and above 0."""
    norm_N = np.ascontiguousarray(norms, dtype=np.float64)
    if norm_N.shape != (num_rows,):
        raise ValueError(f"{WHO}: {name} must have shape ({num_rows},), one for each row, got {norm_N.shape}")
    bad_N = ~(np.isfinite(norm_N) & (norm_N > 0))
    if bad_N.any():
        row = int(np.argmax(bad_N))
        raise ValueError(f"{WHO}: {name} must be finite and above 0, got {norm_N[row]} in row {row}")
    return norm_N


def _as_array(rows: ArrayLike, name: str) -> tuple[NDArray[Any], bool]:
    """The array over the rows' memory, and whether its 16 bits are a bfloat16."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(rows, torch.Tensor):
        array = np.asarray(_from_gpu(rows, name))
        return array, array.dtype.name == "bfloat16"
    if rows.device.type not in ("cpu", "cuda"):
        raise ValueError(f"{WHO}: {name} lie on {rows.device}; pass rows.cpu()")
    here = rows.detach().cpu()
    if here.dtype != torch.bfloat16:
        return np.asarray(here), False
    return here.view(torch.int16).numpy(), True


def _from_gpu(rows: ArrayLike, name: str) -> ArrayLike:
    """Other libraries' arrays on a GPU, brought to this machine's memory; anything else as it is."""
    where = getattr(rows, "__dlpack_device__", None)
    if where is None or where()[0] in (_DLPACK_CPU, _DLPACK_PINNED):
        return rows
    if callable(get := getattr(rows, "get", None)):  # CuPy's, in any version
        array: ArrayLike = get()
        return array
    try:
        return np.from_dlpack(rows, device="cpu", copy=True)  # type: ignore[arg-type]
    except (BufferError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{WHO}: {name} ({type(rows).__name__}) lie on another device and can't be copied from it "
            f"({error}); bring them to the CPU first"
        ) from None

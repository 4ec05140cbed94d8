"""Rows that already lie on a GPU, used there: no copy of them passes through this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search.rows import WHO, StoredRows, stored_rows
from asl_fast.records import check_directions

_DLPACK_CUDA = 2
_KINDS = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}


@dataclass(frozen=True, kw_only=True)
class RowsThere:
    """(N, D) rows on a GPU. tensor_ND: a contiguous CUDA torch.Tensor, which keeps or borrows them."""

    tensor_ND: Any

    def __len__(self) -> int:
        return int(self.tensor_ND.shape[0])

    @property
    def num_dims(self) -> int:
        return int(self.tensor_ND.shape[1])

    @property
    def gpu(self) -> int:
        return int(self.tensor_ND.device.index)

    def part(self, rows: slice | NDArray[np.int64]) -> RowsThere:
        """Some of the rows: a slice where they lie, others gathered on the GPU."""
        if isinstance(rows, slice):
            return RowsThere(tensor_ND=self.tensor_ND[rows])
        import torch

        return RowsThere(tensor_ND=self.tensor_ND[torch.from_numpy(rows)])

    @property
    def native(self) -> _C.RowsOnGpu:
        """Address and stream; what PyTorch has queued on that stream by now is waited for there."""
        import torch

        stream = torch.cuda.current_stream(self.tensor_ND.device).cuda_stream
        kind = _KINDS[str(self.tensor_ND.dtype).removeprefix("torch.")]
        return _C.RowsOnGpu(self.tensor_ND.data_ptr(), kind, len(self), self.num_dims, stream)

    def row_norms(self, name: str, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
        """sqrt(dot(x, x)) of every row as float32. ValueError names the first row that has no direction."""
        norm_N = _C.cuda_row_norms(self.native, self.gpu)
        check_directions(norm_N, f"{WHO}: {name}", ids)
        return norm_N


def rows_for(
    rows: ArrayLike | StoredRows | RowsThere, name: str, gpus: Sequence[int]
) -> StoredRows | RowsThere:
    """`rows` as RowsThere if a search on `gpus` can use them where they lie, or else those of `stored_rows`.

    It can where there is one GPU and they are on it: a torch.Tensor, a CuPy array, anything of DLPack or
    __cuda_array_interface__. Rows that aren't contiguous are made so on the GPU. ValueError as `stored_rows`.
    """
    if isinstance(rows, RowsThere):
        if list(gpus) != [rows.gpu]:
            raise ValueError(f"{WHO}: {name} lie on GPU {rows.gpu}, but the search is on another device")
        return rows
    tensor = _tensor_of(rows) if len(gpus) == 1 else None
    if tensor is None or tensor.device.type != "cuda" or tensor.device.index != gpus[0]:
        return stored_rows(rows, name)
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in _KINDS or tensor.ndim != 2 or tensor.shape[1] == 0:
        return stored_rows(rows, name)  # says what is wrong with them
    return RowsThere(tensor_ND=tensor.contiguous())


def _tensor_of(rows: Any) -> Any:
    """A torch.Tensor over the same memory on a GPU; None for anything that isn't there."""
    loaded = sys.modules.get("torch")
    if loaded is not None and isinstance(rows, loaded.Tensor):
        return rows.detach()
    where = getattr(rows, "__dlpack_device__", None)
    if where is None and not hasattr(rows, "__cuda_array_interface__"):
        return None
    if where is not None and where()[0] != _DLPACK_CUDA:
        return None
    import torch

    return torch.as_tensor(rows, device="cuda") if where is None else torch.from_dlpack(rows)

"""FAISS's lists of candidates: from an index on the CPU, or on a GPU, where they stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.indexes.faiss_index.kinds import search_parameters
from asl_fast.indexes.faiss_index.library import library, words
from asl_fast.indexes.faiss_index.order import Bucket, NormOrder

_MOST_ON_GPU = 2048  # a list of FAISS on a GPU is no longer


@dataclass(frozen=True)
class Listed:
    """candidate_BF: reference rows, best first by FAISS's scores, -1 where its list has ended; a NumPy array,
    or one on the GPU.  last_B: the last score as a cosine, inf where there is none.  num_B: how many."""

    candidate_BF: Any
    last_B: NDArray[np.float64]
    num_B: NDArray[np.int64]


class Lists(Protocol):
    """most: candidates a list, at most.  takes_selectors: whether a part of the places can be searched."""

    @property
    def most(self) -> int: ...
    @property
    def takes_selectors(self) -> bool: ...
    def listed(self, unit_BD: NDArray[np.float32], bucket: Bucket, fetched: int, effort: float) -> Listed:
        """`fetched` candidates of each unit row. effort: how many times the first list this one is."""


class CpuLists:
    """Lists of an index on the CPU. order: what stands where in it."""

    def __init__(self, index: Any, order: NormOrder) -> None:
        self._index, self._order = index, order
        self.most, self.takes_selectors = len(order), self._does_take_selectors()

    def _does_take_selectors(self) -> bool:
        """Some kinds refuse to search a part of their places only."""
        one_row = np.zeros((1, self._index.d), np.float32)
        selector = self._order.selector(Bucket(np.zeros(1, np.int64), 0, max(1, len(self._order) // 2)))
        try:
            self._index.search(one_row, 1, params=search_parameters(self._index, selector, 1, 1.0))
        except RuntimeError:
            return False
        return True

    def listed(self, unit_BD: NDArray[np.float32], bucket: Bucket, fetched: int, effort: float) -> Listed:
        is_part = self.takes_selectors and bucket.size < len(self._order)
        selector = self._order.selector(bucket) if is_part else None
        params = search_parameters(self._index, selector, fetched, effort)
        given = {"params": params} if self.takes_selectors else {}
        place_BF: NDArray[np.int64]
        try:
            score_BF, place_BF = self._index.search(unit_BD, fetched, **given)
        except (RuntimeError, MemoryError) as error:
            raise InputError(
                f"faiss: {type(self._index).__name__} can't be searched ({words(error)}); if it comes from a "
                "file, that is damaged or was never trained"
            ) from None
        _check_places(place_BF.max(initial=-1), len(self._order))
        found_BF = place_BF >= 0
        last_B = as_cosine(self._index, score_BF[:, -1].astype(np.float64))
        return Listed(
            np.where(found_BF, self._order.row_P[place_BF], -1),
            np.where(found_BF[:, -1], last_B, np.inf),
            found_BF.sum(axis=1),
        )


class GpuLists:
    """Lists of a copy of an index on a GPU; candidates are PyTorch tensors there.

    index: on the CPU.  gpu: its number.  FAISS on GPUs knows no selectors (it ignores them), and no list of
    more than 2048.
    """

    takes_selectors = False

    def __init__(self, index: Any, order: NormOrder, gpu: int) -> None:
        faiss = library()
        if not getattr(faiss, "get_num_gpus", lambda: 0)():
            raise InputError(
                "faiss: this FAISS sees no GPU; install 'faiss-gpu>=1.15' on a machine with one, or use "
                "--device cpu"
            )
        self._resources = faiss.StandardGpuResources()
        try:
            on_gpu = faiss.index_cpu_to_gpu(self._resources, gpu, index)
        except RuntimeError as error:
            raise InputError(
                f"faiss: {type(index).__name__} can't be put on a GPU ({words(error)}); Flat, IVF and PQ "
                "kinds can; use --device cpu"
            ) from None
        self._hold(on_gpu, order, f"cuda:{gpu}")

    def _hold(self, index: Any, order: NormOrder, device: str) -> None:
        import torch  # only where FAISS is on a GPU

        self._index, self._device = index, torch.device(device)
        self._row_P = torch.from_numpy(order.row_P).to(self._device)
        self.most = min(len(order), _MOST_ON_GPU)

    def listed(
        self,
        unit_BD: NDArray[np.float32],
        bucket: Bucket,  # noqa: ARG002 - no selectors
        fetched: int,
        effort: float,  # noqa: ARG002 - nprobe is the index's own
    ) -> Listed:
        import torch

        faiss = library()
        unit = torch.from_numpy(np.ascontiguousarray(unit_BD)).to(self._device)
        score_BF = torch.empty(len(unit), fetched, device=self._device)
        place_BF = torch.empty(len(unit), fetched, dtype=torch.int64, device=self._device)
        self._wait()  # for the copy: FAISS works in a stream of its own
        try:
            self._index.search_c(
                len(unit),
                faiss.cast_integer_to_float_ptr(unit.data_ptr()),
                fetched,
                faiss.cast_integer_to_float_ptr(score_BF.data_ptr()),
                faiss.cast_integer_to_idx_t_ptr(place_BF.data_ptr()),
            )
        except RuntimeError as error:
            raise InputError(
                f"faiss: {type(self._index).__name__} can't be searched ({words(error)}); search fewer "
                "queries at a time, or use --device cpu"
            ) from None
        self._wait()
        _check_places(int(place_BF.max()) if place_BF.numel() else -1, len(self._row_P))
        found_BF = place_BF >= 0
        candidate_BF = torch.where(found_BF, self._row_P[place_BF.clamp(min=0)], -1).contiguous()
        self._wait()  # for whoever reads the candidates in another stream
        last_B = as_cosine(self._index, score_BF[:, -1].double().cpu().numpy())
        found = found_BF.cpu().numpy()
        return Listed(candidate_BF, np.where(found[:, -1], last_B, np.inf), found.sum(axis=1))

    def _wait(self) -> None:
        import torch

        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def as_cosine(index: Any, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """FAISS's scores of unit rows, which may be squared distances."""
    return score if index.metric_type == library().METRIC_INNER_PRODUCT else 1 - score / 2


def _check_places(largest: int, num_refs: int) -> None:
    if largest >= num_refs:
        raise InputError(
            f"faiss: the index names a row {largest}, but the references have {num_refs}; "
            "fill it with their rows in order, without ids of its own"
        )

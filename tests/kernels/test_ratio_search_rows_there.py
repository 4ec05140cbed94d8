"""Rows on a GPU and rows that it reads from this machine, through everything above the compiled part.

CUDA's doors lead to the emulated GPU, and PyTorch's tensor is one that only has an address there.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.indexes import Index
from asl_fast.kernels.ratio_search import PreparedRefs, RowsThere, ask
from asl_fast.kernels.rescore import Rescorer
from asl_fast.records import Embeddings

STREAM = 77
KINDS = {np.dtype(np.float16): "f16", np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


class Tensor:
    """What rows_there.py asks of a CUDA tensor, over rows that this machine can't read there."""

    def __init__(self, row_ND: NDArray[Any], gpu: int = 0) -> None:
        self.row_ND, self.device = row_ND, SimpleNamespace(type="cuda", index=gpu)
        self.shape, self.ndim, self.dtype = row_ND.shape, row_ND.ndim, f"torch.{row_ND.dtype}"
        self.there = _C.EmulatedRows(row_ND, KINDS[row_ND.dtype])

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device.index

    def __getitem__(self, rows: Any) -> Tensor:
        which = rows if isinstance(rows, slice) else rows.numpy()
        return Tensor(self.row_ND[which], self.device.index)

    def get(self) -> NDArray[Any]:
        """The way over this machine's memory, as CuPy has it."""
        return self.row_ND

    def contiguous(self) -> Tensor:
        return self

    def data_ptr(self) -> int:
        return self.there.there.address


@pytest.fixture
def asked_of_cuda(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What CUDA is asked to prepare, on a machine that seems to have two GPUs of 64 MB."""
    calls: list[dict[str, Any]] = []

    def prepare(
        rows: Any, own: Any, norm: Any, gpus: list[int], buffer_bytes: int, on_host: bool, _: int
    ) -> _C.Refs:
        calls.append({"rows": rows, "gpus": gpus, "rows_on_host": on_host})
        return _C.prepare_emulated(
            rows, own, norm, len(gpus), 1 << 26, 1 << 18, 1024, min(buffer_bytes, 1 << 22), on_host, 0
        )

    here = _C.build_info()
    info = here | {"with_cuda": True, "cuda_devices": ["first", "second"], "cuda_problem": ""}
    monkeypatch.setattr(_C, "build_info", lambda: info)
    monkeypatch.setattr(_C, "prepare_cuda", prepare)
    monkeypatch.setattr(_C, "cuda_row_norms", lambda rows, _: _C.emulated_row_norms(rows))
    monkeypatch.setattr(_C, "cuda_free_bytes", lambda gpus: [1 << 26] * len(gpus))
    monkeypatch.setattr(torch, "from_dlpack", lambda tensor: tensor)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: SimpleNamespace(cuda_stream=STREAM))
    return calls


def rows_of(num_rows: int, num_dims: int, seed: int, dtype: Any = np.float32) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal((num_rows, num_dims)).astype(dtype)


def assert_same_answers(mine: Index, queries: Any, plain: Index, query_QD: NDArray[Any]) -> None:
    for how in ({"tau": 1.0}, {"tau": 0.9, "direction": "original", "bias": 0.1}):
        pairs = [
            (index.search(rows, 4, **how), index.best_pairs(rows, 30, **how))
            for index, rows in ((mine, queries), (plain, query_QD))
        ]
        for got, want in zip(*pairs, strict=True):
            for name, column in vars(want).items():
                np.testing.assert_array_equal(vars(got)[name], column, strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("refs_there", [True, False])
def test_rows_and_queries_on_the_gpu_are_handed_over_by_address(
    asked_of_cuda: list[dict[str, Any]], dtype: Any, refs_there: bool
) -> None:
    ref_ND, query_QD = rows_of(300, 20, 1, dtype), rows_of(25, 20, 2)
    index = Index(Tensor(ref_ND) if refs_there else ref_ND, device="cuda")  # type: ignore[arg-type]
    assert_same_answers(index, Tensor(query_QD), Index(ref_ND), query_QD)
    assert isinstance(asked_of_cuda[0]["rows"], _C.RowsOnGpu) == refs_there
    assert not asked_of_cuda[0]["rows_on_host"]
    question = ask(Tensor(query_QD), device="cuda")  # type: ignore[arg-type]
    assert isinstance(question.query_QD, RowsThere)
    batches = [
        list(each.pairs_above(rows, 0.3, batch_pairs=9))
        for each, rows in ((index, Tensor(query_QD)), (Index(ref_ND), query_QD))
    ]
    for got, want in zip(*batches, strict=True):
        np.testing.assert_array_equal(got.ref_row_M, want.ref_row_M)


def test_a_sample_of_queries_on_the_gpu_is_gathered_there(asked_of_cuda: list[dict[str, Any]]) -> None:
    query_QD = rows_of(40, 6, 3)
    question = ask(Tensor(query_QD), device="cuda", tau=np.arange(1.0, 41))  # type: ignore[arg-type]
    row_S = np.array([3, 3, 39])
    part = question.part(row_S)
    assert isinstance(part.query_QD, RowsThere)
    np.testing.assert_array_equal(part.own_norm_Q, question.own_norm_Q[row_S])
    assert part.tau_Q.tolist() == [4, 4, 40]
    found = PreparedRefs(query_QD, device="cuda").nearest(part, 1)
    assert found.ref_row_QK[:, 0].tolist() == [3, 3, 39]


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "cuda:0,1"])
def test_rows_on_another_gpu_than_the_one_that_searches_come_over_this_machine(
    asked_of_cuda: list[dict[str, Any]], device: str
) -> None:
    ref_ND, query_QD = rows_of(90, 5, 4), rows_of(7, 5, 5)
    index = Index(Tensor(ref_ND), device=device)  # type: ignore[arg-type]
    assert_same_answers(index, Tensor(query_QD), Index(ref_ND), query_QD)
    assert all(isinstance(call["rows"], np.ndarray) for call in asked_of_cuda)


def test_a_row_on_the_gpu_without_a_direction_is_refused_by_its_number(
    asked_of_cuda: list[dict[str, Any]],
) -> None:
    ref_ND = rows_of(9, 5, 4)
    ref_ND[6] = 0
    ids = tuple(f"picture {i}" for i in range(9))
    with pytest.raises(ValueError, match="row 6"):
        Index(Tensor(ref_ND), device="cuda")  # type: ignore[arg-type]
    ref_ND[6, 2] = np.nan
    with pytest.raises(ValueError, match="row 6"):
        ask(Tensor(ref_ND), device="cuda", ids=ids)  # type: ignore[arg-type]


def test_queries_left_on_a_gpu_are_refused_where_another_device_is_asked(
    asked_of_cuda: list[dict[str, Any]],
) -> None:
    rows = rows_of(9, 5, 4)
    question = ask(Tensor(rows), device="cuda")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lie on GPU 0 but the references are on cpu"):
        PreparedRefs(rows).nearest(question, 1)
    with pytest.raises(ValueError, match="lie on GPU 0; ask with device='cpu'"):
        Rescorer(rows).best(np.zeros((9, 1), np.int64), question, 1)


@pytest.mark.parametrize("device", ["cuda", "cuda:0,1"])
def test_rows_that_do_not_fit_beside_their_codes_are_read_from_this_machine(
    asked_of_cuda: list[dict[str, Any]], device: str
) -> None:
    ref_ND, query_QD = rows_of(26_000, 64, 1), rows_of(3, 64, 2)
    refs = Embeddings(name="refs", row_ND=ref_ND, ids=tuple(map(str, range(len(ref_ND)))))
    index = Index(refs, device=device, memory_budget=20 << 20)
    found, want = index.search(query_QD, 3), Index(ref_ND, grouping="never").search(query_QD, 3)
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)
    assert [call["rows_on_host"] for call in asked_of_cuda] == [True]


def test_rows_whose_codes_do_not_fit_either_pass_through_slice_by_slice(
    asked_of_cuda: list[dict[str, Any]],
) -> None:
    ref_ND, query_QD = rows_of(7000, 600, 1), rows_of(3, 600, 2)
    found = Index(ref_ND, device="cuda", memory_budget=20 << 20).search(query_QD, 3)
    want = Index(ref_ND, grouping="never").search(query_QD, 3)
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)
    assert len(asked_of_cuda) > 1 and not any(call["rows_on_host"] for call in asked_of_cuda)

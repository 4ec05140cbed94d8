"""Rows of every type, in memory and in mapped files: the bits of their float32, and memory that stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search import PreparedRefs, encode
from asl_fast.kernels.ratio_search.rows import BFLOAT16, float32_rows
from asl_fast.records import Candidates

torch = pytest.importorskip("torch")


def assert_same(found: Candidates, want: Candidates) -> None:
    for name, column_QK in vars(want).items():
        np.testing.assert_array_equal(getattr(found, name), column_QK)


def finite_bits(kind: str) -> NDArray[np.uint16]:
    """Every finite number of the type but the zeros, as bits."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    exponent = 0x7C00 if kind == "f16" else 0x7F80
    return bits[((bits & exponent) != exponent) & ((bits & 0x7FFF) != 0)]


def stored(kind: str, row_ND: NDArray[np.float32]) -> Any:
    if kind == "bf16":
        return torch.from_numpy(row_ND).to(torch.bfloat16)
    return row_ND.astype({"f16": np.float16, "f32": np.float32, "f64": np.float64}[kind])


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_every_finite_number_is_converted_exactly(kind: str) -> None:
    bits_N1 = finite_bits(kind)[:, None]
    want_N1 = torch.from_numpy(bits_N1.view(np.int16).copy())
    want_N1 = want_N1.view(torch.float16 if kind == "f16" else torch.bfloat16).to(torch.float32).numpy()
    rows_N1 = bits_N1.view(np.float16) if kind == "f16" else bits_N1
    np.testing.assert_array_equal(_C.row_norms(rows_N1, 2), np.abs(want_N1[:, 0].astype(float)))
    given = rows_N1 if kind == "f16" else torch.from_numpy(bits_N1.view(np.int16).copy()).view(torch.bfloat16)
    np.testing.assert_array_equal(float32_rows(given, "rows"), want_N1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["f16", "bf16", "f32", "f64"]),
    num_dims=st.one_of(st.integers(1, 80), st.sampled_from([255, 256, 1023, 8192])),
    path=st.sampled_from(_C.build_info()["cpu_paths"]),
    k=st.sampled_from([1, 5, 40]),
)
def test_rows_of_every_type_find_what_their_float32_finds(
    seed: int, kind: str, num_dims: int, path: str, k: int
) -> None:
    rng = np.random.default_rng(seed)
    ref_ND = rng.standard_normal((int(rng.integers(1, 200)), num_dims), dtype=np.float32)
    if rng.random() < 0.3:
        ref_ND = np.round(ref_ND) + (np.arange(num_dims) == 0)  # ties
        ref_ND[~ref_ND.any(axis=1), 0] = 1
    if rng.random() < 0.3:
        ref_ND *= np.float32(2.0**-22)  # denormals of float16
        ref_ND[~ref_ND.astype(np.float16).any(axis=1), 0] = 1
    refs = stored(kind, ref_ND)
    as_float32 = float32_rows(refs, "rows")
    query_QD = as_float32[rng.integers(0, len(ref_ND), 5)] + rng.choice([0, 0.1]).astype(np.float32)
    how: dict[str, Any] = {"k": k, "min_score": 0.1 if k == 40 else None, "tau": 1.2}
    want = PreparedRefs(as_float32.copy(), _instructions="plain").search(query_QD, **how)
    assert_same(PreparedRefs(refs, _instructions=path).search(query_QD, **how), want)
    assert_same(PreparedRefs(refs, codes=encode(refs), _instructions=path).search(query_QD, **how), want)


def test_queries_may_be_bfloat16_too() -> None:
    rows = torch.randn(20, 16, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(1))
    found = PreparedRefs(rows).search(rows, k=1)
    assert found.ref_row_QK[:, 0].tolist() == list(range(20))


def test_an_ml_dtypes_array_is_taken_as_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    row_ND = np.random.default_rng(2).standard_normal((20, 16)).astype(ml_dtypes.bfloat16)
    found = PreparedRefs(row_ND).search(row_ND, k=3)
    assert_same(found, PreparedRefs(row_ND.astype(np.float32)).search(row_ND.astype(np.float32), k=3))


def test_a_tensor_elsewhere_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"references lie on meta; pass rows\.cpu\(\)"):
        PreparedRefs(torch.empty(2, 3, device="meta"))


class OnGpu:
    """An array as a library shows one that lies on a GPU (DLPack's kind 2)."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


class CuPyArray(OnGpu):
    def get(self) -> NDArray[Any]:
        return self.array

    def __array__(self) -> None:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")  # as CuPy says


class DlpackArray(OnGpu):
    def __dlpack__(self, *, dl_device: tuple[int, int], copy: bool, **rest: object) -> object:
        assert dl_device[0] == 1 and copy  # asked for a copy in this machine's memory
        return self.array.__dlpack__(**rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [CuPyArray, DlpackArray])
def test_rows_on_a_gpu_are_copied_from_there(kind: type[OnGpu]) -> None:
    row_ND = np.random.default_rng(3).standard_normal((30, 16)).astype(np.float32)
    found = PreparedRefs(kind(row_ND)).search(kind(row_ND), k=2)  # type: ignore[arg-type]
    assert_same(found, PreparedRefs(row_ND).search(row_ND, k=2))


class StuckArray(OnGpu):
    def __dlpack__(self, **_: object) -> object:
        raise BufferError("no copies")


def test_rows_on_a_gpu_that_cannot_be_copied_are_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"references \(StuckArray\) lie on another device and can't be copied"
    ):
        PreparedRefs(StuckArray(np.ones((2, 2))))  # type: ignore[arg-type]


def test_bits_without_a_type_are_refused() -> None:
    with pytest.raises(ValueError, match="got uint16"):
        PreparedRefs(np.ones((2, 3), BFLOAT16))


def test_rows_that_overflow_or_vanish_as_float32_are_named() -> None:
    for value, what in ((1e200, "NaN or infinite"), (1e-200, "all zeros")):
        row_ND = np.ones((3, 2))
        row_ND[1] = value
        with pytest.raises(ValueError, match=f"row 1 .*{what}"):
            PreparedRefs(row_ND)


@pytest.mark.parametrize("column", ["scale_N", "residual_N"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_codes_without_a_valid_scale_or_residual_are_refused(column: str, value: float) -> None:
    row_ND = np.ones((4, 2), np.float32)
    codes = encode(row_ND)
    getattr(codes, column)[2] = value
    with pytest.raises(ValueError, match="codes of row 2 have no valid scale or residual"):
        PreparedRefs(row_ND, codes=codes)


def test_a_copy_on_write_map_keeps_what_was_written_to_it(tmp_path: Path) -> None:
    """Handing back the pages of such a map would undo the writes."""
    np.save(tmp_path / "rows.npy", np.ones((3000, 64), np.float32))
    row_ND = np.load(tmp_path / "rows.npy", mmap_mode="c")
    row_ND[:] = np.random.default_rng(4).standard_normal(row_ND.shape)
    want_ND = np.array(row_ND)
    PreparedRefs(row_ND).search(want_ND[:100], k=5)
    np.testing.assert_array_equal(row_ND, want_ND)


@pytest.mark.parametrize(
    "fate", ["keeps its name", "loses its name", "gives its name to another", "is a link"]
)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_survivors_are_read_from_the_mapped_file_whatever_becomes_of_its_name(
    tmp_path: Path, fate: str, kind: type
) -> None:
    path = tmp_path / "rows one\t.npy"
    row_ND = (
        np.random.default_rng(6).integers(-9, 9, (30_000, 96)).astype(kind)
    )  # above the 4 MB of mapped.cpp
    np.save(path, row_ND)
    if fate == "is a link":
        (tmp_path / "link").symlink_to(path)
        mapped_ND = np.load(tmp_path / "link", mmap_mode="r")
    else:
        mapped_ND = np.load(path, mmap_mode="r")
    if fate == "gives its name to another":
        np.save(tmp_path / "other.npy", row_ND[::-1] + 1)
        (tmp_path / "other.npy").replace(path)
    elif fate == "loses its name":
        path.unlink()
    query_QD = np.asarray(row_ND[:40], np.float32)
    found = PreparedRefs(mapped_ND[100:], num_threads=2).search(query_QD, k=50, tau=np.inf)
    assert_same(found, PreparedRefs(row_ND[100:]).search(query_QD, k=50, tau=np.inf))


def test_a_mapped_file_that_is_cut_off_meanwhile_is_one_error(tmp_path: Path) -> None:
    row_ND = np.random.default_rng(7).standard_normal((30_000, 96)).astype(np.float32)
    np.save(tmp_path / "rows.npy", row_ND)
    refs = PreparedRefs(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    os.truncate(tmp_path / "rows.npy", 1 << 20)
    with pytest.raises(RuntimeError, match="references' file can't be read any more; was it cut off"):
        refs.search(row_ND[:40], k=5, tau=np.inf)


MEASURE = """
import sys
import numpy as np
from asl_fast.kernels.ratio_search import PreparedRefs

def peak_and_now():
    fields = dict(line.split(":") for line in open("/proc/self/status"))
    return [int(fields[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS")]

row_ND = np.load(sys.argv[1], mmap_mode="r")
query_QD = np.random.default_rng(1).standard_normal((int(sys.argv[2]), row_ND.shape[1])).astype(np.float32)
PreparedRefs(query_QD[:64]).search(query_QD, k=10)
before, _ = peak_and_now()
refs = PreparedRefs(row_ND, num_threads=2)
prepared, _ = peak_and_now()
refs.search(query_QD, k=10, tau=np.inf)
print(prepared - before, peak_and_now()[0] - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_mapped_file_does_not_fill_memory(tmp_path: Path) -> None:
    """1.3 x (codes + norms) and what a search holds, far below the 307 MB of the file."""
    num_rows, num_dims = 300_000, 256
    rows = np.lib.format.open_memmap(tmp_path / "r.npy", "w+", np.float32, (num_rows, num_dims))
    rng = np.random.default_rng(5)
    for start in range(0, num_rows, 10_000):
        rows[start : start + 10_000] = rng.standard_normal((10_000, num_dims), dtype=np.float32)
    del rows
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "r.npy", "2000"],
        capture_output=True,
        text=True,
        check=True,
    )
    prepared, searched = map(int, done.stdout.split())
    least = num_rows * (num_dims + 8)
    assert prepared < 1.3 * least + 10e6
    # Survivors are read from the file: no page of the map stays.
    assert searched < 1.3 * least + 30e6

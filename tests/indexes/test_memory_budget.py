"""A search within a memory budget: the same bits as without one, and memory that keeps to it."""

from __future__ import annotations

import re
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_folders import NUM_DIMS, batch, rows

from asl_fast import indexes
from asl_fast.indexes import Index
from asl_fast.indexes.folder import IndexFolder, Snapshot
from asl_fast.indexes.parts import Part, Parts, PreparedPart
from asl_fast.indexes.searchable import Searchable
from asl_fast.kernels.ratio_search import Share, gpu_share, gpus_of, share
from asl_fast.records import Embeddings, Pairs
from asl_fast.thresholds import SoftRatio


def answers(index: Searchable, query_QD: np.ndarray, k: int, direction: str) -> list[Any]:
    """What the three ways to search give."""
    bias_Q = 0.2 * np.sin(np.arange(len(query_QD)))
    soft = SoftRatio(weight=0.2, tau=0.7)
    how = {"tau": 1.0, "direction": direction, "bias": bias_Q, "scale": 1 + bias_Q, "soft": soft}
    found = index.search(query_QD, k, **how)
    best = [index.best_pairs(query_QD, 37, **how), index.best_pairs(query_QD, 37, k=2, **how)]
    above = list(index.pairs_above(query_QD, 0.6, batch_pairs=30, **how))
    assert all(len(batch) <= 30 or len(set(batch.query_row_M.tolist())) == 1 for batch in above)
    assert all(len(batch) for batch in above)
    return [found, *best, *([Pairs.joined(above)] if above else [])]


def assert_same(index: Searchable, plain: Searchable, query_QD: np.ndarray, k: int, direction: str) -> None:
    got, want = answers(index, query_QD, k, direction), answers(plain, query_QD, k, direction)
    assert len(got) == len(want)
    for mine, other in zip(got, want, strict=True):
        for name, column in vars(other).items():
            np.testing.assert_array_equal(getattr(mine, name), column, strict=True)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    num_rows=st.integers(1, 60),
    slice_rows=st.integers(1, 25),
    k=st.sampled_from([1, 3, 40, 100]),
    direction=st.sampled_from(["copy", "original", "both"]),
)
def test_slices_of_any_length_find_what_the_whole_finds(
    seed: int, num_rows: int, slice_rows: int, k: int, direction: str
) -> None:
    row_ND, query_QD = rows(num_rows, seed), rows(7, seed + 1)  # many equal scores, equal norms, equal rows
    norm_N = np.random.default_rng(seed).integers(1, 4, num_rows) / 2
    plain = Index(row_ND, norms=norm_N, num_threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexes, "MAX_REFS", slice_rows)
        sliced = Index(row_ND, norms=norm_N, num_threads=1)
    assert_same(sliced, plain, query_QD, k, direction)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), slice_rows=st.integers(1, 25), k=st.sampled_from([1, 5, 100]))
def test_an_index_folder_cut_anywhere_finds_what_it_finds_whole(
    tmp_path_factory: pytest.TempPathFactory, seed: int, slice_rows: int, k: int
) -> None:
    index = IndexFolder(tmp_path_factory.mktemp("index"), shard_rows=40)
    index.create(num_dims=NUM_DIMS)
    index.add([batch(0, 70, seed=seed), batch(70, 13, seed=seed)])
    index.remove([f"id{row}" for row in range(0, 83, 5)])
    with Snapshot(index.path) as whole, Snapshot(index.path) as cut:
        cut._share = Share(num_rows=slice_rows, hit_bytes=1 << 22)
        assert_same(cut, whole, rows(5, seed + 1), k, "both")
        plain = Index(whole.embeddings())
        assert_same(cut, plain, rows(5, seed + 1), k, "copy")


def test_a_real_budget_makes_slices_and_changes_no_bit() -> None:
    row_ND = np.random.default_rng(1).standard_normal((20_000, 24)).astype(np.float16)
    budget = 5 << 19
    few = share(budget, num_dims=24, num_threads=1).num_rows
    assert 1024 <= few < 10_000
    sliced = Index(row_ND, num_threads=1, memory_budget=budget)
    assert_same(sliced, Index(row_ND), row_ND[:40], 10, "copy")


def test_progress_goes_once_from_start_to_end_over_all_slices() -> None:
    row_ND = rows(500)
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexes, "MAX_REFS", 60)
        index = Index(row_ND)
    index.search(row_ND, 3, direction="both", progress=lambda done, in_all: told.append((done, in_all)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (500 * 500, 500 * 500)


@settings(max_examples=200, deadline=None)
@given(
    budget=st.integers(1, 2**34),
    num_dims=st.integers(1, 8192),
    num_threads=st.sampled_from([1, 2, 7, 64]),
)
def test_the_shares_of_a_budget_never_add_up_to_more(budget: int, num_dims: int, num_threads: int) -> None:
    try:
        made = share(budget, num_dims=num_dims, num_threads=num_threads)
    except ValueError as error:
        least = int(str(error).split("at least ")[1].split()[0])
        assert budget < least
        assert share(least, num_dims=num_dims, num_threads=num_threads).num_rows >= 1024
        return
    packed = max(512 << 10, 32 * num_dims)
    assert made.num_rows * (num_dims + 48) + num_threads * (made.hit_bytes + packed) <= budget
    assert made.num_rows >= 1024 and made.hit_bytes >= 256 << 10


def test_a_budget_too_small_is_refused_with_the_least_that_works() -> None:
    with pytest.raises(ValueError, match=r"memory_budget must be at least \d+ bytes \(\d\.\dM\) .* got 1000"):
        Index(rows(5), num_threads=2, memory_budget=1000)
    with pytest.raises(ValueError, match=r"k=4096 needs \d+ bytes of waiting hits"):
        Index(rows(5), num_threads=1, memory_budget=4 << 20).search(rows(2), k=4096)


def test_norms_of_another_length_and_a_row_without_direction_are_named() -> None:
    row_ND = rows(100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexes, "MAX_REFS", 30)
        with pytest.raises(ValueError, match=r"norms of references must have shape \(100,\)"):
            Index(row_ND, norms=np.ones(130))
        row_ND[75] = 0
        index = Index(row_ND)
    with pytest.raises(ValueError, match="references from row 60 on: row 15 is all zeros"):
        index.search(row_ND[:1])


MEASURE = """
import sys
import weakref
from functools import partial
import numpy as np
from asl_fast.indexes import Index
from asl_fast.indexes.folder import Snapshot

def peak():
    fields = dict(line.split(":") for line in open("/proc/self/status"))
    return int(fields["VmHWM"].split()[0]) * 1024

path, budget = sys.argv[1], int(sys.argv[2])
query_QD = np.random.default_rng(1).standard_normal((200, 256)).astype(np.float32)
Index(query_QD).search(query_QD, 10)
before = peak()
if path.endswith(".npy"):
    Index(np.load(path, mmap_mode="r"), num_threads=2, memory_budget=budget).search(query_QD, 10)
else:
    with Snapshot(path, num_threads=2, memory_budget=budget) as snapshot:
        snapshot.search(query_QD, 10)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_keeps_to_the_budget_for_a_mapped_file_and_an_index(tmp_path: Path) -> None:
    row_ND = np.random.default_rng(2).standard_normal((400_000, 256), dtype=np.float32)
    np.save(tmp_path / "rows.npy", row_ND)
    index = IndexFolder(tmp_path / "index")
    index.create(num_dims=256)
    index.add([Embeddings(ids=[str(row) for row in range(400_000)], row_ND=row_ND)])
    budget = 40 << 20  # codes alone take 102 MB
    for path in (tmp_path / "rows.npy", tmp_path / "index"):
        command = [sys.executable, "-c", MEASURE, str(path), str(budget)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        # beside the budget: pages of the file, mapped megabytes at a time; the own columns of an index
        assert int(done.stdout) < budget + 110e6, path


def test_every_pair_above_a_score_prepares_each_slice_once_and_one_at_a_time() -> None:
    row_ND, query_QD = rows(300), rows(600, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexes, "MAX_REFS", 60)
        index = Index(row_ND)
    prepare, made = index._prepare, []

    def watched(cut: slice) -> PreparedPart:
        assert all(part() is None for part in made), "the slice before is still held"
        part = prepare(cut)
        made.append(weakref.ref(part))
        return part

    cuts = [slice(start, start + 60) for start in range(0, 300, 60)]
    parts = [Part(num_rows=60, prepare=partial(watched, cut)) for cut in cuts]
    index._parts = Parts(parts, keep=False)
    batches = list(index.pairs_above(query_QD, 0.2, batch_pairs=100, direction="both"))
    assert len(batches) > 50 and len(made) == 5


@settings(max_examples=200, deadline=None)
@given(
    budget=st.integers(1 << 20, 1 << 38),
    num_dims=st.sampled_from([1, 64, 65, 2048]),
    num_gpus=st.integers(1, 8),
    number_bytes=st.sampled_from([0, 2, 4, 8]),
    num_rows=st.none() | st.integers(1, 1 << 32),
)
def test_what_a_gpu_holds_keeps_to_its_budget(
    budget: int, num_dims: int, num_gpus: int, number_bytes: int, num_rows: int | None
) -> None:
    asked = {"num_dims": num_dims, "num_gpus": num_gpus, "number_bytes": number_bytes, "num_rows": num_rows}
    try:
        mine = gpu_share(budget, **asked)  # type: ignore[arg-type]
    except ValueError as error:
        least = int(re.search(r"at least (\d+) bytes", str(error))[1])  # type: ignore[index]
        assert budget < least
        assert gpu_share(least, **asked).num_rows >= 1024 * num_gpus  # type: ignore[arg-type]
        return
    rows = 0 if mine.rows_on_host else min(number_bytes, 4) * num_dims
    codes, columns = -(-num_dims // 64) * 64, 8 + 8 + 8 + 8
    assert mine.num_rows // num_gpus * (rows + codes + columns) + mine.hit_bytes <= budget
    if mine.rows_on_host:  # only where it saves reading slice after slice
        assert num_rows is not None and num_rows <= mine.num_rows
        assert gpu_share(budget, **{**asked, "num_rows": None}).num_rows < num_rows  # type: ignore[arg-type]
    assert mine.num_rows >= 1024
    with pytest.raises(ValueError, match="bytes for a query's list but the GPU's memory leaves"):
        mine.check_k(mine.hit_bytes)
    mine.check_k(10)


@pytest.mark.parametrize(
    ("device", "gpus"), [("cpu", []), ("cuda", [0]), ("cuda:3", [3]), ("cuda:0,2", [0, 2])]
)
def test_devices_are_named_as_pytorch_names_them(device: str, gpus: list[int]) -> None:
    assert gpus_of(device) == gpus


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:0,0", "cuda:-1", "cuda:0,", "CUDA"])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match="device must "):
        gpus_of(device)

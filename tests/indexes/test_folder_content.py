"""Whatever is added, replaced, removed and compacted, an index holds what a dictionary would."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_folders import NUM_DIMS, batch, check_search, content, rows, small_index

from asl_fast.errors import InputError
from asl_fast.indexes import Index
from asl_fast.indexes.folder import IndexFolder, verify
from asl_fast.indexes.folder.texts import Texts, encoded, packed
from asl_fast.records import Embeddings, Pairs

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 15), st.integers(1, 12), st.booleans()),
        st.tuples(st.just("remove"), st.integers(0, 15), st.integers(1, 12)),
        st.tuples(st.just("compact")),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(
    steps=STEPS,
    shard_rows=st.sampled_from([3, 7, 1000]),
    k=st.sampled_from([1, 3, 50]),
    min_score=st.sampled_from([None, 0.5]),
)
def test_any_sequence_of_changes_gives_what_a_dictionary_gives(
    steps: list[tuple], shard_rows: int, k: int, min_score: float | None
) -> None:
    with tempfile.TemporaryDirectory() as place:
        index = IndexFolder(Path(place) / "index", shard_rows=shard_rows)
        index.create(num_dims=NUM_DIMS)
        held: dict[str, np.ndarray] = {}
        for number, (what, *how) in enumerate(steps):
            if what == "add":
                _add(index, held, *how, seed=number)
            elif what == "remove":
                names = [f"id{name}" for name in range(how[0], how[0] + how[1])]
                assert index.remove(names, missing_ok=True) == len(set(names) & set(held))
                for name in names:
                    held.pop(name, None)
            else:
                index.compact()
        assert not verify(index.path).damages
        assert {name: row for name, (row, _) in content(index.path).items()} == {
            name: row.tobytes() for name, row in held.items()
        }
        assert list(content(index.path)) == list(held)
        if held:
            with IndexFolder.open(index.path, num_threads=1) as snapshot:
                check_search(snapshot, held, k, min_score)


def _add(index: IndexFolder, held: dict, first: int, number: int, replace: bool, seed: int) -> None:
    new = batch(first, number, seed=seed)
    if not replace and set(new.ids) & set(held):
        with pytest.raises(InputError, match="already"):
            index.add([new])
        return
    done = index.add([new], replace_ids=replace)
    assert done.num_replaced == len(set(new.ids) & set(held))
    for name, row in zip(new.ids, new.row_ND, strict=True):
        held.pop(name, None)
        held[name] = row


@pytest.mark.parametrize("num_removed", [0, 5, 150])
@pytest.mark.parametrize("k", [1, 10, 100, 5000])
def test_search_breaks_ties_by_order_of_addition_across_shards(
    tmp_path: Path, num_removed: int, k: int
) -> None:
    rng = np.random.default_rng(1)
    row_ND = rng.standard_normal((900, NUM_DIMS)).astype(np.float32)
    row_ND[200:700] = row_ND[0] * rng.choice([1, 2, 4, 8], (500, 1))  # equal scores, other norms
    index = IndexFolder(tmp_path / "index", shard_rows=250)
    index.create(num_dims=NUM_DIMS)
    index.add([Embeddings(ids=[str(row) for row in range(900)], row_ND=row_ND)])
    removed = rng.permutation(900)[:num_removed]
    index.remove([str(row) for row in removed])
    left = np.setdiff1d(np.arange(900), removed)
    queries = np.concatenate([row_ND[:3] * 3, rng.standard_normal((9, NUM_DIMS)).astype(np.float32)])
    with IndexFolder.open(index.path) as snapshot:
        for direction in ("copy", "original", "both"):
            found = snapshot.search(queries, k, 2.0, direction=direction)
            wanted = Index(row_ND[left]).search(queries, k, 2.0, direction=direction)
            np.testing.assert_array_equal(found.ref_row_QK, wanted.ref_row_QK)
            np.testing.assert_array_equal(found.score_QK, wanted.score_QK)


@pytest.mark.parametrize("num_removed", [20, 40])
def test_removed_rows_never_push_out_live_ones(tmp_path: Path, num_removed: int) -> None:
    rng = np.random.default_rng(6)
    row_ND = rng.standard_normal((300, NUM_DIMS)).astype(np.float32)
    query = rng.standard_normal((1, NUM_DIMS)).astype(np.float32)
    best_first = Index(row_ND).search(query, 300, direction="both").ref_row_QK[0]
    index = IndexFolder(tmp_path / "index", shard_rows=150)
    index.create(num_dims=NUM_DIMS)
    index.add([Embeddings(ids=[str(row) for row in range(300)], row_ND=row_ND)])
    index.remove([str(row) for row in best_first[:num_removed]])
    left = np.sort(best_first[num_removed:])
    with IndexFolder.open(index.path) as snapshot:
        found = snapshot.search(query, 5, direction="both")
        every = Pairs.joined(list(snapshot.pairs_above(query, -1.0, direction="both")))
    np.testing.assert_array_equal(left[found.ref_row_QK[0]], best_first[num_removed : num_removed + 5])
    np.testing.assert_array_equal(left[every.ref_row_M], best_first[num_removed:])


def test_tau_may_differ_by_query_and_norms_may_be_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    row_ND, norm_N = rows(60, 5), rng.uniform(0.5, 2, 60)
    index = IndexFolder(tmp_path / "index", shard_rows=17)
    index.create(num_dims=NUM_DIMS)
    index.add([Embeddings(ids=[str(row) for row in range(60)], row_ND=row_ND, norm_N=norm_N)])
    queries = Embeddings(ids=["a", "b", "c"], row_ND=rows(3, 8), norm_N=np.array([0.7, 1.0, 1.5]))
    with IndexFolder.open(index.path) as snapshot:
        found = snapshot.search(queries, 5, [0.6, 1.0, 1.4])
        np.testing.assert_array_equal(snapshot.norm_N, norm_N)
    wanted = Index(row_ND, norms=norm_N).search(queries, 5, [0.6, 1.0, 1.4])
    np.testing.assert_array_equal(found.ref_row_QK, wanted.ref_row_QK)
    np.testing.assert_array_equal(found.ratio_QK, wanted.ratio_QK)


def test_progress_counts_the_pairs_of_all_shards_up_to_the_end(tmp_path: Path) -> None:
    seen = []
    with IndexFolder.open(small_index(tmp_path / "index").path) as snapshot:
        snapshot.search(rows(5, 1), 3, progress=lambda done, in_all: seen.append((done, in_all)))
    assert seen == sorted(seen)
    assert all(done <= in_all == 5 * 19 for done, in_all in seen)


def test_an_index_without_rows_opens_and_says_so_when_searched(tmp_path: Path) -> None:
    index = IndexFolder(tmp_path / "index")
    index.create(num_dims=NUM_DIMS)
    with IndexFolder.open(index.path) as snapshot:
        assert len(snapshot) == 0 and list(snapshot.ids) == []
        with pytest.raises(ValueError, match="holds no rows"):
            snapshot.search(rows(1))


def test_paths_and_fingerprint_come_back_and_an_unknown_path_is_empty(tmp_path: Path) -> None:
    with IndexFolder.open(small_index(tmp_path / "index").path) as snapshot:
        held = snapshot.embeddings(tmp_path / "scratch")
    assert held.fingerprint == "f" * 64
    assert held.path_N is not None
    assert held.path_N[:4] == ["photos/0.jpg", "photos/1.jpg", "photos/2.jpg", "photos/4.jpg"]
    assert held.path_N[-1] == ""


@given(st.lists(st.text(), min_size=1))
def test_any_texts_are_read_back(texts: list[str]) -> None:
    column = Texts(*packed(encoded(texts)))
    assert list(column) == texts
    assert column[-1] == texts[-1]


def test_ids_whose_checksums_are_equal_are_told_apart(tmp_path: Path) -> None:
    twins = ["plumless", "buckeroo"]  # CRC-32 4ddb0c25 both
    index = IndexFolder(tmp_path / "index")
    index.create(num_dims=NUM_DIMS)
    index.add([Embeddings(ids=twins[:1], row_ND=rows(1, 1))])
    index.add([Embeddings(ids=twins[1:], row_ND=rows(1, 2))])
    assert index.remove(twins[1:]) == 1
    assert list(content(index.path)) == twins[:1]


def test_a_shard_lies_sorted_by_norm_and_its_rows_are_aligned(tmp_path: Path) -> None:
    index = small_index(tmp_path / "index")
    index.compact()
    with IndexFolder.open(index.path) as snapshot:
        (shard,) = snapshot.shards
        assert (np.diff(shard.norm_N) <= 0).all()
        same = np.diff(shard.norm_N) == 0
        assert same.any() and (np.diff(shard.sequence_N)[same] > 0).all()
        assert shard.row_ND.ctypes.data % 64 == 0
        assert not shard.row_ND.flags.writeable


def test_many_small_adds_are_merged_before_they_use_up_the_file_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asl_fast.indexes.folder.store.MAX_SHARDS", 4)
    index = IndexFolder(tmp_path / "index")
    index.create(num_dims=NUM_DIMS)
    merged = [index.add([batch(10 * number, 3)]).merged for number in range(6)]
    assert merged == [False, False, False, False, True, False]
    with IndexFolder.open(index.path) as snapshot:
        assert len(snapshot.shards) == 2 and len(snapshot) == 18

"""FAISS's candidates joined with the predicate: exact where FAISS is, no wrong pair, never silently short."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast import _C
from asl_fast.errors import InputError
from asl_fast.indexes import FaissIndex, Index
from asl_fast.indexes.faiss_index import ShortAnswer, files, lists
from asl_fast.indexes.faiss_index.lists import GpuLists
from asl_fast.indexes.recall import measured_recall
from asl_fast.kernels.rescore import Rescorer
from asl_fast.records import Embeddings
from asl_fast.thresholds import SoftRatio

faiss = pytest.importorskip("faiss")

DIRECTIONS = ("copy", "original", "both")


def rows(number: int, seed: int, num_dims: int = 24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    row_ND = rng.standard_normal((number, num_dims))
    return (row_ND * rng.uniform(0.5, 2, (number, 1))).astype(np.float32)


def embeddings(row_ND: np.ndarray, **more: object) -> Embeddings:
    return Embeddings(ids=[f"id{row}" for row in range(len(row_ND))], row_ND=row_ND, **more)  # type: ignore[arg-type]


REFS, QUERIES = rows(2000, 1), rows(50, 2)


def short_of(index: FaissIndex) -> list[int]:
    """Where the index from now on tells how many queries came up short."""
    told: list[int] = []
    index._tell_short = told.append
    return told


def assert_exact(found, refs, queries, *args, **how) -> None:
    want = Index(refs, norms=how.pop("norms", None)).search(queries, *args, **how)
    for name in ("ref_row_QK", "score_QK", "ratio_QK"):
        np.testing.assert_array_equal(getattr(found, name), getattr(want, name), err_msg=name)


def assert_same_pairs(found, want) -> None:
    for name, column_M in vars(want).items():
        np.testing.assert_array_equal(getattr(found, name), column_M, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_flat_is_the_exact_search_bit_for_bit(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    num_refs, num_dims = data.draw(st.integers(1, 200)), data.draw(st.sampled_from([1, 2, 9, 40]))
    whole = data.draw(st.booleans())  # small integers: duplicates and ties by the dozen

    def some_rows(number):
        row = rng.integers(-1, 2, (number, num_dims)) if whole else rng.standard_normal((number, num_dims))
        row[~row.any(axis=1), 0] = 1
        return row.astype(np.float32)

    refs, queries = some_rows(num_refs), some_rows(data.draw(st.integers(1, 30)))
    levels = np.array([1 / 3, 2 / 3, 1.0])
    norms = rng.choice(levels, num_refs) if data.draw(st.booleans()) else None
    how = {
        "tau": rng.choice([0.5, 1.0, 2.0], len(queries)),
        "min_score": data.draw(st.sampled_from([-1.1, 0.0, 0.5])),
        "direction": data.draw(st.sampled_from(DIRECTIONS)),
        "query_norms": rng.choice(levels, len(queries)),
        "bias": rng.choice([0.0, 0.4, -0.7, rng.uniform(-1, 1)], len(queries)),
        "scale": rng.choice([1.0, 0.5, 3.0], len(queries)),
        "soft": data.draw(st.sampled_from([None, SoftRatio(weight=0.5, tau=0.3)])),
    }
    index, exact = FaissIndex(refs, "Flat", norms=norms, num_threads=2), Index(refs, norms=norms)
    k = data.draw(st.sampled_from([1, 3, 10, 300]))
    assert_exact(index.search(queries, k, **how), refs, queries, k, norms=norms, **how)
    num_pairs = data.draw(st.sampled_from([1, 7, 100, 10_000]))
    for most in (None, k):
        assert_same_pairs(
            index.best_pairs(queries, num_pairs, k=most, **how),
            exact.best_pairs(queries, num_pairs, k=most, **how),
        )
    batches = [list(each.pairs_above(queries, batch_pairs=300, **how)) for each in (index, exact)]
    assert len(batches[0]) == len(batches[1])
    for pairs in zip(*batches, strict=True):
        assert_same_pairs(*pairs)


def test_the_best_pairs_of_all_queries_are_found_without_a_score_to_begin_with() -> None:
    for num_pairs, tau in ((1, 1.0), (30, 1.0), (1000, 0.3), (10**6, 0.3)):
        assert_same_pairs(
            FaissIndex(REFS, "Flat").best_pairs(QUERIES, num_pairs, tau),
            Index(REFS).best_pairs(QUERIES, num_pairs, tau),
        )


@pytest.mark.parametrize("factory", ["IVF16,Flat", "IVF16_HNSW8,Flat", "SQ8"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_index_that_looks_everywhere_is_exact(factory: str, direction: str) -> None:
    params = {"nprobe": 16} if "IVF" in factory else {"fetch": 20}
    if "_HNSW" in factory:
        params["quantizer_efSearch"] = 64
    index = FaissIndex(REFS, factory, params=params)
    for min_score in (None, 0.2):
        found = index.search(QUERIES, 10, min_score=min_score, direction=direction)
        assert_exact(found, REFS, QUERIES, 10, min_score=min_score, direction=direction)


@pytest.mark.parametrize(
    ("factory", "params", "least"),
    [
        ("HNSW32", {"efSearch": 200}, 0.95),
        ("IVF16,Flat", {"nprobe": 8}, 0.75),
        ("IVF16,PQ12x4", {"nprobe": 16, "fetch": 40}, 0.95),
        ("PQ12x4", {"fetch": 40}, 0.95),  # takes no selector
        ("NSG16,Flat", {"fetch": 20}, 0.9),  # takes no parameters
    ],
)
@pytest.mark.parametrize("direction", ["copy", "original"])
def test_what_is_found_is_valid_exactly_scored_and_mostly_all(
    factory: str, params: dict, least: float, direction: str
) -> None:
    index = FaissIndex(REFS, factory, params=params, num_threads=1)
    short_of(index)
    found = index.search(QUERIES, 10, tau=0.9, direction=direction)
    exact = Index(REFS).search(QUERIES, len(REFS), tau=0.9, direction=direction)
    score_of = [dict(zip(*each, strict=True)) for each in zip(exact.ref_row_QK, exact.score_QK, strict=True)]
    for query, (row_K, score_K) in enumerate(zip(found.ref_row_QK, found.score_QK, strict=True)):
        row_K, score_K = row_K[row_K >= 0], score_K[row_K >= 0]
        assert [score_of[query][row] for row in row_K] == score_K.tolist()
        assert (np.diff(score_K) <= 0).all()
    for k, min_score in ((10, None), (None, 0.3)):
        recall = measured_recall(
            index, Index(REFS), embeddings(QUERIES), k=k, tau=0.9, min_score=min_score, direction=direction
        )
        assert recall.num_queries == 50 and recall.share >= least, recall


def test_ties_at_the_end_of_the_list_go_to_the_smaller_row() -> None:
    refs = np.tile(np.float32([1, 2, 3]), (3000, 1))
    index = FaissIndex(refs, "Flat", norms=np.arange(1, 3001))  # the smaller rows stand last in FAISS
    found = index.search(refs[:2], k=5, query_norms=[0.5, 0.5])
    assert found.ref_row_QK.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_a_short_answer_is_never_silent() -> None:
    index = FaissIndex(REFS, "IVF64,Flat", params={"nprobe": 1})
    with pytest.warns(ShortAnswer, match="FAISS's lists ended for 50 queries"):
        index.search(QUERIES, k=500, direction="both")
    told = short_of(index)
    found = index.search(QUERIES, k=500, direction="both")
    assert told == [50] and (found.ref_row_QK[:, -1] == -1).all()


def test_fewer_valid_references_than_asked_for_is_no_short_answer() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = FaissIndex(REFS, "Flat").search(QUERIES, k=10, tau=1e-9)
    assert (found.ref_row_QK == -1).all()


def test_threads_of_faiss_are_put_back() -> None:
    faiss.omp_set_num_threads(3)
    FaissIndex(REFS, "Flat", num_threads=1).search(QUERIES)
    assert faiss.omp_get_max_threads() == 3


def test_a_file_and_what_stands_beside_it_come_back_the_same(tmp_path: Path) -> None:
    refs = embeddings(REFS, norm_N=np.linspace(1, 2, len(REFS)), fingerprint="f" * 64)
    index = FaissIndex(refs, "IVF16,Flat", params={"nprobe": 4})
    index.write(tmp_path / "refs.faiss")
    shuffled = np.random.default_rng(0).permutation(len(REFS))
    other = Embeddings(
        ids=[refs.ids[row] for row in shuffled], row_ND=REFS[shuffled], norm_N=refs.norm_N[shuffled]
    )
    found = index.search(QUERIES, k=10)
    again = FaissIndex(other, path=tmp_path / "refs.faiss", params={"nprobe": 4}).search(QUERIES, k=10)
    same = np.where(again.ref_row_QK >= 0, shuffled[again.ref_row_QK], -1)
    np.testing.assert_array_equal(same, found.ref_row_QK)


def test_rows_come_back_with_ids_norms_and_fingerprint(tmp_path: Path) -> None:
    refs = embeddings(REFS, norm_N=np.linspace(1, 2, len(REFS)), fingerprint="f" * 64)
    FaissIndex(refs, "HNSW16").write(tmp_path / "refs.faiss")
    (back,) = files.rows_back(tmp_path / "refs.faiss")
    row_of = {identity: row for row, identity in enumerate(refs.ids)}
    row_N = [row_of[identity] for identity in back.ids]
    np.testing.assert_array_equal(back.norm_N, refs.norm_N[row_N])
    assert (np.diff(back.norm_N) <= 0).all() and back.fingerprint == refs.fingerprint
    unit_ND = REFS / np.linalg.norm(REFS, axis=1, keepdims=True)
    np.testing.assert_allclose(back.row_ND, (unit_ND * refs.norm_N[:, None])[row_N], atol=1e-6)


def test_codes_give_rows_back_only_where_that_is_allowed(tmp_path: Path) -> None:
    FaissIndex(REFS, "PQ12x4", num_threads=1).write(tmp_path / "refs.faiss")
    with pytest.raises(InputError, match=r"holds codes .*--lossy"):
        next(files.rows_back(tmp_path / "refs.faiss"))
    (back,) = files.rows_back(tmp_path / "refs.faiss", lossy=True)
    np.testing.assert_allclose(np.linalg.norm(back.row_ND, axis=1), back.norm_N, rtol=1e-5)


def foreign(path: Path, factory: str, row_ND: np.ndarray, metric: int) -> Path:
    index = faiss.index_factory(row_ND.shape[1], factory, metric)
    index.train(row_ND)
    index.add(row_ND)
    faiss.write_index(index, str(path))
    return path


@pytest.mark.parametrize("factory", ["Flat", "IVF16,Flat"])
@pytest.mark.parametrize("metric", [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_foreign_file_in_the_order_of_the_rows_serves_too(
    tmp_path: Path, factory: str, metric: int, direction: str
) -> None:
    unit_ND = REFS / np.linalg.norm(REFS, axis=1, keepdims=True)
    path = foreign(tmp_path / "f.faiss", factory, unit_ND, metric)
    index = FaissIndex(REFS, path=path, params={"nprobe": 16} if "IVF" in factory else None)
    assert_exact(index.search(QUERIES, k=10, direction=direction), REFS, QUERIES, k=10, direction=direction)


def test_a_foreign_file_of_other_rows_is_refused(tmp_path: Path) -> None:
    unit_ND = REFS / np.linalg.norm(REFS, axis=1, keepdims=True)
    for name, row_ND, message in (
        ("order", unit_ND[::-1].copy(), "rows are not those of references .* in the same order"),
        ("raw", REFS, "aren't of length 1 .* normalise them"),
        ("fewer", unit_ND[:-1], "has 1999 rows but references has 2000"),
        ("narrow", unit_ND[:, :-1].copy(), "has 23 columns but references has 24"),
    ):
        path = foreign(tmp_path / f"{name}.faiss", "Flat", row_ND, faiss.METRIC_INNER_PRODUCT)
        with pytest.raises(InputError, match=message):
            FaissIndex(REFS, path=path)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("IVF16,Flat", "rows are not those of references"),
        ("IDMap,Flat", r"names a row \d+, but the references have 2000"),  # gives no rows back
    ],
)
def test_a_foreign_file_with_ids_of_its_own_is_refused(tmp_path: Path, factory: str, message: str) -> None:
    index = faiss.index_factory(24, factory, faiss.METRIC_INNER_PRODUCT)
    unit_ND = REFS / np.linalg.norm(REFS, axis=1, keepdims=True)
    index.train(unit_ND)
    index.add_with_ids(unit_ND, np.arange(2000) + 10**6)
    faiss.write_index(index, str(tmp_path / "f.faiss"))
    with pytest.raises(InputError, match=message):
        FaissIndex(REFS, path=tmp_path / "f.faiss").search(QUERIES, direction="both")


def test_every_changed_byte_beside_our_file_or_in_it_is_found(tmp_path: Path) -> None:
    FaissIndex(REFS[:40], "Flat").write(tmp_path / "r.faiss")
    rng = np.random.default_rng(0)
    for name in ("r.faiss", "r.faiss.ids.txt", "r.faiss.norms.npy"):
        good = (tmp_path / name).read_bytes()
        for place in rng.integers(0, len(good), 10):
            bad = bytearray(good)
            bad[place] ^= 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(bad)
            with pytest.raises(InputError, match="is not what was written"):
                files.read(tmp_path / "r.faiss")
        (tmp_path / name).write_bytes(good[:-1])
        with pytest.raises(InputError, match="is not what was written"):
            files.read(tmp_path / "r.faiss")
        (tmp_path / name).write_bytes(good)
    (tmp_path / "r.faiss.ids.txt").unlink()
    with pytest.raises(InputError, match="is gone"):
        files.read(tmp_path / "r.faiss")


@pytest.mark.parametrize("words", ["", "{", "[]", json.dumps({"format": "other"}), '{"format": 1}'])
def test_words_beside_a_file_that_are_not_ours_are_refused(tmp_path: Path, words: str) -> None:
    FaissIndex(REFS[:40], "Flat").write(tmp_path / "r.faiss")
    (tmp_path / "r.faiss.json").write_text(words)
    with pytest.raises(InputError, match="is not of format"):
        files.read(tmp_path / "r.faiss")


def test_a_file_that_faiss_cannot_read_is_one_line(tmp_path: Path) -> None:
    unit_ND = REFS / np.linalg.norm(REFS, axis=1, keepdims=True)
    good = foreign(tmp_path / "f.faiss", "Flat", unit_ND, faiss.METRIC_INNER_PRODUCT).read_bytes()
    for bad in (b"", b"no index", good[: len(good) // 2], good[:33] + b"\xff" * 8 + good[41:]):
        (tmp_path / "f.faiss").write_bytes(bad)
        with pytest.raises(InputError, match="FAISS can't read it") as raised:
            files.read(tmp_path / "f.faiss")
        assert "\n" not in str(raised.value)


DAMAGE = """
import random, resource, sys
from pathlib import Path
import numpy as np
from asl_fast.errors import InputError
from asl_fast.indexes import FaissIndex
from asl_fast.indexes.faiss_index import ShortAnswer
import warnings

warnings.simplefilter("error")
warnings.simplefilter("ignore", ShortAnswer)
path, row_ND = Path(sys.argv[1]), np.load(sys.argv[2])
good, chance = path.read_bytes(), random.Random(1)
FaissIndex(row_ND, path=path, num_threads=1).search(row_ND[:3], 5)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), used + (1 << 30)))  # the file has 40 KB
outcomes = {"answered": 0, "refused": 0}
for case in range(120):
    data = bytearray(good)
    at = chance.randrange(chance.choice([160, len(data)]))
    if case % 3 == 0:
        del data[at:]
    elif case % 3 == 1:
        data[at] ^= 1 << chance.randrange(8)
    else:
        number = chance.choice([0, 7, 1 << 31, 1 << 40, 1 << 62, (1 << 64) - 1])
        data[at : at + 8] = number.to_bytes(8, "little")
    path.write_bytes(data)
    print("case", case, flush=True)
    try:
        FaissIndex(row_ND, path=path, num_threads=1).search(row_ND[:3], 5)
        outcomes["answered"] += 1
    except InputError as error:
        assert len(str(error).splitlines()) == 1, error
        outcomes["refused"] += 1
assert min(outcomes.values()) > 10, outcomes
print("end")
"""


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW8", "IVF8,PQ4x4"])
def test_a_damaged_foreign_file_is_answered_or_refused_but_never_a_crash(
    tmp_path: Path, factory: str
) -> None:
    unit_ND = REFS[:400] / np.linalg.norm(REFS[:400], axis=1, keepdims=True)
    path = foreign(tmp_path / "f.faiss", factory, unit_ND, faiss.METRIC_INNER_PRODUCT)
    np.save(tmp_path / "rows.npy", unit_ND)
    command = [sys.executable, "-c", DAMAGE, str(path), str(tmp_path / "rows.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("end\n"), f"{done.stdout[-20:]} {done.returncode}\n{done.stderr}"


def test_an_index_that_was_never_trained_is_one_line(tmp_path: Path) -> None:
    unit_ND = REFS[:400] / np.linalg.norm(REFS[:400], axis=1, keepdims=True)
    index = faiss.read_index(str(foreign(tmp_path / "f.faiss", "PCA8,Flat", unit_ND, faiss.METRIC_L2)))
    index.is_trained = False
    faiss.write_index(index, str(tmp_path / "f.faiss"))
    with pytest.raises(
        InputError, match=r"IndexPreTransform can't be searched .* damaged or was never trained"
    ):
        FaissIndex(unit_ND, path=tmp_path / "f.faiss").search(unit_ND[:2], 3)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"factory": "nonsense"}, "could not parse index string nonsense"),
        ({"factory": "IVF99999,Flat"}, "Number of training points"),
        ({"factory": "Flat", "params": {"nprobe": 3}}, "IndexFlat has no parameter nprobe"),
        ({"factory": "Flat", "params": {"fetch": 0}}, "fetch must be at least 1"),
        ({}, "give a factory string or the path"),
        ({"path": "gone.faiss"}, "gone.faiss is no file"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(made: dict, message: str) -> None:
    with pytest.raises((ValueError, InputError), match=message):
        FaissIndex(REFS, **made)


def test_queries_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="queries have 3 columns but the references have 24"):
        FaissIndex(REFS, "Flat").search(QUERIES[:, :3].copy())


def test_without_faiss_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install 'asl-fast\[faiss\]', or 'faiss-gpu>=1.15'"):
        FaissIndex(REFS, "Flat")


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "PQ4x4"])
@pytest.mark.parametrize("direction", ["copy", "both"])
def test_lists_and_scores_as_on_a_gpu_join_to_the_answer_of_the_cpu(factory, direction):
    """FAISS is told addresses, and the kernel runs in emulated thread blocks: all but the GPU itself."""
    rng = np.random.default_rng(3)
    ref_ND, query_QD = (rng.standard_normal((n, 16)).astype(np.float32) for n in (400, 30))
    index = FaissIndex(ref_ND, factory, params={"nprobe": 4} if "IVF" in factory else {})
    want = index.search(query_QD, 5, direction=direction)
    on_gpu = GpuLists.__new__(GpuLists)
    on_gpu._hold(index._index, index._order, "cpu")
    own_norm_N = _C.row_norms(ref_ND, 1)
    kernel = _C.emulated_rescorer(ref_ND, own_norm_N, own_norm_N, 64, 1 << 20, seed=0)
    index._lists, index._rescorer = on_gpu, Rescorer(ref_ND, _gpu=kernel)
    found = index.search(query_QD, 5, direction=direction)
    if "PQ" not in factory:  # without selectors other codes are listed
        for name, column in vars(want).items():
            np.testing.assert_array_equal(getattr(found, name), column)
    assert (found.ref_row_QK >= 0).sum() >= 0.9 * (want.ref_row_QK >= 0).sum()


def test_a_list_on_a_gpu_ends_where_faiss_ends_it_and_that_is_told(monkeypatch):
    monkeypatch.setattr(lists, "_MOST_ON_GPU", 20)
    rng = np.random.default_rng(4)
    ref_ND, query_QD = (rng.standard_normal((n, 8)).astype(np.float32) for n in (300, 10))
    short = []
    index = FaissIndex(ref_ND, "Flat", tell_short=short.append)
    index._lists = GpuLists.__new__(GpuLists)
    index._lists._hold(index._index, index._order, "cpu")
    found = index.search(query_QD, 30, direction="both")
    assert short == [10] and ((found.ref_row_QK >= 0).sum(axis=1) == 20).all()


@pytest.mark.skipif(bool(_C.build_info()["cuda_devices"]), reason="there is a GPU")
def test_faiss_on_a_gpu_that_is_not_there_is_one_line():
    with pytest.raises(ValueError, match="device 'cuda' was asked"):
        FaissIndex(np.eye(3, dtype=np.float32), "Flat", device="cuda")

"""Index: what the caller holds, between records and the kernel."""

from __future__ import annotations

import numpy as np
import pytest

from asl_fast import Index
from asl_fast.records import Embeddings, Pairs


def embeddings(row_ND: np.ndarray, *, norm_N: np.ndarray | None = None, name: str = "refs") -> Embeddings:
    ids = [f"id{row}" for row in range(len(row_ND))]
    if norm_N is None:
        return Embeddings(ids=ids, row_ND=row_ND, name=name)
    return Embeddings(ids=ids, row_ND=row_ND, norm_N=norm_N, name=name)


@pytest.fixture
def row_ND() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)


def test_a_picture_among_itself_is_found_as_its_own_copy(row_ND: np.ndarray) -> None:
    for refs, queries in [
        (row_ND, row_ND),
        (embeddings(row_ND), row_ND),
        (row_ND, embeddings(row_ND)),
        (embeddings(row_ND), embeddings(row_ND)),
    ]:
        found = Index(refs).search(queries, k=1, tau=1.0)
        np.testing.assert_array_equal(found.ref_row_QK[:, 0], np.arange(200))
        assert (found.ratio_QK == 1.0).all()


def test_an_index_knows_its_size_and_what_runs(row_ND: np.ndarray) -> None:
    index = Index(row_ND)
    assert (len(index), index.num_dims) == (200, 16)
    assert index.path in ("amx", "avx512vnni", "avxvnni", "avx2", "plain")


def test_norms_of_embeddings_replace_those_of_the_rows(row_ND: np.ndarray) -> None:
    refs = embeddings(row_ND, norm_N=np.full(200, 4.0))
    queries = embeddings(row_ND[:5], norm_N=np.full(5, 2.0))
    found = Index(refs).search(queries, k=3)
    assert (found.ratio_QK == 0.5).all()


def test_norms_given_by_hand_win_over_those_of_embeddings(row_ND: np.ndarray) -> None:
    refs = embeddings(row_ND, norm_N=np.full(200, 4.0))
    queries = embeddings(row_ND[:5], norm_N=np.full(5, 2.0))
    found = Index(refs, norms=np.full(200, 8.0)).search(queries, k=3, query_norms=np.full(5, 6.0))
    assert (found.ratio_QK == 0.75).all()


def test_norms_of_another_network_leave_the_scores_alone(row_ND: np.ndarray) -> None:
    own = Index(row_ND).search(row_ND[:5], k=3, direction="both")
    other = Index(row_ND, norms=np.linspace(1, 2, 200)).search(row_ND[:5], k=3, direction="both")
    np.testing.assert_array_equal(own.score_QK, other.score_QK)


def test_copies_and_originals_together_are_both(row_ND: np.ndarray) -> None:
    index = Index(row_ND)
    found = {
        direction: Pairs.joined(list(index.pairs_above(row_ND[:20], -1.1, direction=direction)))
        for direction in ("copy", "original", "both")
    }
    for query in range(20):
        rows = {name: set(each.ref_row_M[each.query_row_M == query]) for name, each in found.items()}
        assert rows["copy"] | rows["original"] == rows["both"] == set(range(200))
        assert not rows["copy"] & rows["original"]


def test_min_score_applies_to_the_top_k_too(row_ND: np.ndarray) -> None:
    found = Index(row_ND).search(row_ND[:20], k=50, min_score=0.4)
    kept = found.ref_row_QK >= 0
    assert (found.score_QK[kept] >= 0.4).all()
    assert (~kept).any()


def test_an_error_names_the_embeddings_and_the_id(row_ND: np.ndarray) -> None:
    index = Index(embeddings(row_ND))
    with pytest.raises(ValueError, match=r"q\.npy have 3 columns but the references have 16"):
        index.search(embeddings(row_ND[:, :3].copy(), name="q.npy"))


def test_one_row_without_a_second_axis_is_refused_with_the_way_out(row_ND: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"pass row\[None\], shape \(1, 16\)"):
        Index(row_ND).search(row_ND[0])


def test_searches_from_several_threads_do_not_disturb_each_other(row_ND: np.ndarray) -> None:
    from concurrent.futures import ThreadPoolExecutor

    index = Index(row_ND, num_threads=2)
    want = index.search(row_ND, k=5)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: index.search(row_ND, k=5), range(16)):
            np.testing.assert_array_equal(found.ref_row_QK, want.ref_row_QK)

"""Score normalisation: the bias is the formula's, and every way to search speaks of scores less the bias."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_folders import NUM_DIMS, batch, rows

from asl_fast.folded_search import search_folded
from asl_fast.indexes import Index, ScoreNorm
from asl_fast.indexes.folder import IndexFolder, Snapshot
from asl_fast.kernels.ratio_search import MAX_BIAS
from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.matching import by_picture
from asl_fast.records import Embeddings, Pairs

DIRECTIONS = ("copy", "original", "both")


def cosines(query_QD: np.ndarray, ref_ND: np.ndarray) -> np.ndarray:
    return plain.dots(query_QD, ref_ND) / np.outer(plain.row_norms(query_QD), plain.row_norms(ref_ND))


def formula(norm: ScoreNorm, query_QD: np.ndarray, background_BD: np.ndarray) -> np.ndarray:
    """Plain float64, one query after the other."""
    bias = []
    for cosine_B in cosines(query_QD, background_BD):
        nearest = sorted(cosine_B.tolist(), reverse=True)[norm.first : norm.last + 1]
        total = 0.0
        for cosine in nearest:
            total += cosine
        bias.append(norm.beta * (total / len(nearest)))
    return np.array(bias)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    beta=st.sampled_from([0.35, 1.0, 2.0]),
    first=st.integers(0, 30),
    more=st.integers(0, 30),
    spare=st.integers(0, 200),
)
def test_the_bias_is_the_formulas_bit_for_bit(
    seed: int, beta: float, first: int, more: int, spare: int
) -> None:
    norm = ScoreNorm(beta, first, first + more)
    query_QD, background_BD = rows(9, seed), rows(norm.last + 1 + spare, seed + 1)
    found = norm.bias(query_QD, Index(background_BD, num_threads=2))
    np.testing.assert_array_equal(found, formula(norm, query_QD, background_BD), strict=True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1.0[0,2]", ScoreNorm(1.0, 0, 2)),
        ("1.0[1,4]", ScoreNorm(1.0, 1, 4)),
        (" .5 [ 3, 3 ]", ScoreNorm(0.5, 3, 3)),
        ("2.0mean[10]", ScoreNorm(2.0, 0, 9)),
        ("2avg[10]", ScoreNorm(2.0, 0, 9)),
        ("2.0min[10]", ScoreNorm(2.0, 9, 9)),
        ("1min[1]", ScoreNorm(1.0, 0, 0)),
        ("stretch:2.5avg[5]", ScoreNorm(2.5, 0, 4, stretches=True)),
        (" stretch: 2 [1, 2]", ScoreNorm(2.0, 1, 2, stretches=True)),
    ],
)
def test_both_spellings_are_read(text: str, meant: ScoreNorm) -> None:
    assert ScoreNorm.parse(text) == meant
    assert ScoreNorm.parse(str(meant)) == meant


@pytest.mark.parametrize(
    "text",
    ["", "1.0", "[0,2]", "1.0[2,0]", "0[0,2]", "-1[0,2]", "1.0[-1,2]", "1.0[0]", "2.0max[10]", "2.0mean[0]",
     "nan[0,1]", "1e3[0,1]", "1.0[0,2]x", "stretch:", "stretch 1[0,1]", "9" * 400 + "[0,1]"],
)  # fmt: skip
def test_what_is_no_normalisation_is_refused_with_both_spellings(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 1\.0\[0,2\], or WEIGHTmean\[N\]"):
        ScoreNorm.parse(text)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), number=st.sampled_from([1, 30, 200]))
def test_stretched_scores_are_those_of_the_distances_to_longer_queries(seed: int, number: int) -> None:
    """In float64: queries of length s, references of length 1, squared L2, the best of all together."""
    rng = np.random.default_rng(seed)
    query_QD, ref_ND, background_BD = (
        (rng.standard_normal((count, 8)) + 0.5).astype(np.float32) for count in (9, 60, 40)
    )
    norm = ScoreNorm.parse("stretch:2.5avg[5]")
    cosine_QB = -np.sort(-cosines(query_QD, background_BD), axis=1)
    length_Q = 2.5 * cosine_QB[:, :5].mean(axis=1)
    unit_QD, unit_ND = (each.astype(np.float64) for each in (query_QD, ref_ND))
    unit_QD *= (length_Q / np.linalg.norm(unit_QD, axis=1))[:, None]
    unit_ND /= np.linalg.norm(unit_ND, axis=1)[:, None]
    distance_QN = ((unit_QD[:, None] - unit_ND) ** 2).sum(axis=2)
    scoring = norm.scoring(query_QD, Index(background_BD))
    best = Index(ref_ND).best_pairs(query_QD, number, direction="both", **scoring)
    wanted_M = np.sort(distance_QN, axis=None)[:number]
    np.testing.assert_allclose(1 - 2 * best.score_M, wanted_M, atol=1e-12)
    np.testing.assert_allclose(distance_QN[best.query_row_M, best.ref_row_M], wanted_M, atol=1e-12)


def test_a_query_that_can_not_be_stretched_is_named() -> None:
    queries = Embeddings(ids=["near", "far"], row_ND=np.array([[1, 0], [-1, 0]], np.float32))
    background = Index(np.array([[1, 0.1], [1, 0]], np.float32))
    with pytest.raises(ValueError, match=r"stretches query 'far' by -2\.49, which must be above 0"):
        ScoreNorm.parse("stretch:2.5avg[2]").scoring(queries, background)
    with pytest.raises(ValueError, match="stretches query row 1 by"):
        ScoreNorm.parse("stretch:2.5avg[2]").scoring(queries.row_ND, background)


def test_a_background_that_is_too_small_is_named() -> None:
    with pytest.raises(ValueError, match="needs 3 background rows or more, but there are 2"):
        ScoreNorm(1.0, 0, 2).bias(rows(4, 0), Index(rows(2, 1)))


@pytest.mark.parametrize("bias", [np.nan, np.inf, -np.inf, 2 * MAX_BIAS])
def test_a_bias_that_is_no_number_near_a_cosine_is_refused(bias: float) -> None:
    with pytest.raises(ValueError, match=r"bias must be a number from -1e\+06 to 1e\+06"):
        Index(rows(5, 0)).search(rows(3, 1), bias=[0.0, bias, 0.0])


def test_a_bias_of_another_number_of_queries_is_refused() -> None:
    with pytest.raises(ValueError, match="bias must be one number or one per query"):
        Index(rows(5, 0)).search(rows(3, 1), bias=np.zeros(5))


def test_without_a_bias_no_bit_of_a_score_changes() -> None:
    index, query_QD = Index(rows(300, 0)), rows(20, 1)
    without = index.search(query_QD, 300, direction="both").score_QK
    np.testing.assert_array_equal(without, -np.sort(-cosines(query_QD, rows(300, 0)), axis=1))
    biased = index.search(query_QD, 300, direction="both", bias=0.25).score_QK
    np.testing.assert_array_equal(biased, without - 0.25)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), direction=st.sampled_from(DIRECTIONS), k=st.sampled_from([1, 4, 200]))
def test_an_index_on_disk_is_searched_with_the_bias_as_rows_in_memory_are(
    tmp_path_factory: pytest.TempPathFactory, seed: int, direction: str, k: int
) -> None:
    folder = IndexFolder(tmp_path_factory.mktemp("index"), shard_rows=40)
    folder.create(num_dims=NUM_DIMS)
    folder.add([batch(0, 70, seed=seed), batch(70, 13, seed=seed)])
    folder.remove(["id3", "id71"])
    query_QD = rows(7, seed + 1)
    bias_Q = ScoreNorm(1.0, 0, 2).bias(query_QD, Index(rows(30, seed + 2)))
    scale_Q = np.linspace(0.5, 2, 7)
    how = {"direction": direction, "bias": bias_Q, "scale": scale_Q}
    with Snapshot(folder.path) as snapshot:
        embeddings = snapshot.embeddings()
        want = plain.ratio_search(
            query_QD, embeddings.row_ND, query_norm_Q=plain.row_norms(query_QD), ref_norm_N=embeddings.norm_N,
            k=k, tau_Q=np.ones(7), bias=bias_Q, scale=scale_Q, direction=direction,
        )  # fmt: skip
        found = snapshot.search(query_QD, k, **how)
        best = snapshot.best_pairs(query_QD, 40, k=k, **how)
        above = list(snapshot.pairs_above(query_QD, 0.1, batch_pairs=20, **how))
    for column, expected in zip((found.ref_row_QK, found.score_QK, found.ratio_QK), want, strict=True):
        np.testing.assert_array_equal(column, expected)
    for column, expected in zip(vars(best).values(), plain.best_pairs(want, 40), strict=True):
        np.testing.assert_array_equal(column, expected)
    score_QN = (cosines(query_QD, embeddings.row_ND) - bias_Q[:, None]) * scale_Q[:, None]
    is_copy_QN = plain.row_norms(query_QD)[:, None] / embeddings.norm_N <= 1
    wanted_QN = {"copy": is_copy_QN, "original": ~is_copy_QN, "both": True}[direction] & (score_QN >= 0.1)
    pairs = {
        (q, r)
        for each in above
        for q, r in zip(each.query_row_M.tolist(), each.ref_row_M.tolist(), strict=True)
    }
    assert pairs == set(zip(*(place.tolist() for place in np.nonzero(wanted_QN)), strict=True))


def views(name: str, num_pictures: int, num_views: int, seed: int) -> Embeddings:
    ids = [f"{name}{row}#{view or 'whole'}" for row in range(num_pictures) for view in range(num_views)]
    np.random.default_rng(seed).shuffle(ids)
    return Embeddings(ids=ids, row_ND=rows(len(ids), seed), name=name)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    mode=st.sampled_from(["k", "best", "best of k", "above"]),
    direction=st.sampled_from(DIRECTIONS),
)
def test_folded_pictures_have_the_best_score_less_its_own_views_bias(
    seed: int, mode: str, direction: str
) -> None:
    queries, refs = by_picture(views("q", 5, 3, seed)), by_picture(views("r", 12, 2, seed + 1))
    bias_Q = ScoreNorm(1.0, 0, 2).bias(queries.rows, Index(rows(30, seed + 2)))
    batches = list(
        search_folded(
            Index(refs.rows), refs, queries, tau=1.0, direction=direction, bias=bias_Q,
            k=4 if mode in ("k", "best of k") else None, num_pairs=9 if "best" in mode else None,
            min_score=0.0 if mode == "above" else None,
        )
    )  # fmt: skip
    none = Index(refs.rows).best_pairs(queries.rows, 1, min_score=9.0)
    found = Pairs.joined([none, *batches])
    score_QN = cosines(queries.rows.row_ND, refs.rows.row_ND) - bias_Q[:, None]
    is_copy_QN = queries.norm_N[:, None] / refs.norm_N <= 1
    score_QN[~{"copy": is_copy_QN, "original": ~is_copy_QN, "both": is_copy_QN | True}[direction]] = -np.inf
    score_PP = np.full((5, 12), -np.inf)
    np.maximum.at(score_PP, (queries.picture_N[:, None], refs.picture_N), score_QN)
    score_PP = -np.sort(-score_PP, axis=1)
    if mode in ("k", "best of k"):
        score_PP = score_PP[:, :4]
    wanted = -np.sort(-score_PP[score_PP >= (0 if mode == "above" else -9)])
    np.testing.assert_array_equal(-np.sort(-found.score_M), wanted[:9] if "best" in mode else wanted)
    np.testing.assert_array_equal(found.score_M, score_QN[found.query_row_M, found.ref_row_M])

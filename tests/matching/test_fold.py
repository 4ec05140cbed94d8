"""Folding views to pictures is the brute force over all pairs of views, for every way to search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.indexes import Index
from asl_fast.matching import best_of, by_picture, folded_best_pairs, folded_nearest, folded_stream
from asl_fast.records import Embeddings, Pairs


def side(name: str, counts: list[int], seed: int, coarse: bool, shuffled: bool = False) -> Embeddings:
    """Pictures with so many views each; coarse rows are full of ties."""
    generator = np.random.default_rng(seed)
    ids = [f"{name}{p}#{'whole' if v == 0 else f'part-{v}'}" for p, n in enumerate(counts) for v in range(n)]
    row_ND = generator.integers(-1, 2, (len(ids), 3)) if coarse else generator.standard_normal((len(ids), 3))
    row_ND = np.where((row_ND == 0).all(axis=1, keepdims=True), 1, row_ND).astype(np.float32)
    order = generator.permutation(len(ids)) if shuffled else np.arange(len(ids))
    return Embeddings(ids=[ids[row] for row in order], row_ND=row_ND[order], name=name)


def brute_force(queries, refs, tau, min_score=-2.0):
    """{(query picture, reference picture): (score, reference row, query row)} of those that pass."""
    question = Index(refs.rows).search(queries.rows, k=len(refs), tau=tau, min_score=min_score).pairs()
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    for q, r, score in zip(question.query_row_M, question.ref_row_M, question.score_M, strict=True):
        ratio = queries.norm_N[q] / refs.norm_N[r]
        assert ratio <= tau
        pair = int(queries.picture_N[q]), int(refs.picture_N[r])
        best[pair] = min(best.get(pair, (9.0, 0, 0)), (-score, int(r), int(q)))
    return best


def found(pairs: Pairs, queries, refs):
    return {
        (int(queries.picture_N[q]), int(refs.picture_N[r])): (-score, int(r), int(q))
        for q, r, score in zip(pairs.query_row_M, pairs.ref_row_M, pairs.score_M, strict=True)
    }


counts = st.lists(st.integers(1, 5), min_size=1, max_size=7)
sides = st.tuples(counts, counts, st.integers(0, 999), st.booleans(), st.booleans())


def made(drawn):
    query_counts, ref_counts, seed, coarse, shuffled = drawn
    queries = by_picture(side("q", query_counts, seed, coarse, shuffled))
    return queries, by_picture(side("r", ref_counts, seed + 1, coarse, shuffled))


def nearest_of(queries, refs, tau):
    index = Index(refs.rows)
    return lambda rows, k: index.search(
        queries.rows.row_ND[rows], k, tau, query_norms=queries.norm_N[rows]
    ).pairs()


@settings(deadline=None)
@given(sides, st.integers(1, 8), st.sampled_from([0.7, 1.0, 50.0]))
def test_the_nearest_pictures_are_the_brute_forces(drawn, k, tau):
    queries, refs = made(drawn)
    wanted = {}
    for picture in range(queries.num_pictures):
        of_one = [(key, pair) for pair, key in brute_force(queries, refs, tau).items() if pair[0] == picture]
        wanted.update({pair: key for key, pair in sorted(of_one)[:k]})
    batches = list(folded_nearest(nearest_of(queries, refs, tau), queries, refs, k))
    assert found(Pairs.joined(batches), queries, refs) == wanted
    assert sum(map(len, batches)) == len(wanted)


def test_batches_of_few_pictures_give_what_one_batch_gives(monkeypatch):
    queries, refs = made(([3, 1, 5, 2, 4], [2, 5, 1, 3], 5, False, True))
    whole = Pairs.joined(list(folded_nearest(nearest_of(queries, refs, 2.0), queries, refs, 2)))
    monkeypatch.setattr("asl_fast.matching.fold._PAIRS_AT_ONCE", 30)
    batches = list(folded_nearest(nearest_of(queries, refs, 2.0), queries, refs, 2))
    assert len(batches) > 2 and found(Pairs.joined(batches), queries, refs) == found(whole, queries, refs)


@settings(deadline=None)
@given(sides, st.integers(1, 12))
def test_the_best_pairs_of_pictures_are_the_brute_forces(drawn, num_pairs):
    queries, refs = made(drawn)
    index = Index(refs.rows)
    pairs = folded_best_pairs(
        lambda number: index.best_pairs(queries.rows, number, 50.0), queries, refs, num_pairs
    )
    wanted = brute_force(queries, refs, 50.0)
    assert len(pairs) == len(found(pairs, queries, refs)) == min(num_pairs, len(wanted))
    scores = sorted(key[0] for key in wanted.values())[:num_pairs]
    assert sorted(-pairs.score_M) == scores
    assert all(wanted[pair][0] == key[0] for pair, key in found(pairs, queries, refs).items())


@settings(deadline=None)
@given(sides, st.integers(1, 40))
def test_every_pair_of_pictures_above_a_score_is_there_once(drawn, batch_pairs):
    queries, refs = made(drawn)
    rows = np.argsort(queries.picture_N, kind="stable")
    batches = Index(refs.rows).pairs_above(
        queries.rows.row_ND[rows], 0.2, 50.0, query_norms=queries.norm_N[rows], batch_pairs=batch_pairs
    )
    parts = list(folded_stream(batches, rows, queries, refs))
    wanted = brute_force(queries, refs, 50.0, 0.2)
    pictures = [set(queries.picture_N[part.query_row_M].tolist()) for part in parts]
    assert sum(map(len, pictures)) == len(set().union(*pictures))
    assert sum(map(len, parts)) == len(wanted)
    assert {pair: key for part in parts for pair, key in found(part, queries, refs).items()} == wanted


def test_the_best_of_the_nearest_are_the_best_of_all():
    queries, refs = made(([3, 1, 5, 2], [2, 5, 1, 3, 2], 8, False, False))
    batches = list(folded_nearest(nearest_of(queries, refs, 50.0), queries, refs, 2))
    best = best_of(batches, queries, 3)
    assert sorted(best.score_M) == sorted(np.concatenate([batch.score_M for batch in batches]))[-3:]
    assert sorted(queries.picture_N[best.query_row_M]) == queries.picture_N[best.query_row_M].tolist()


def test_every_view_has_the_norm_of_its_whole_picture():
    embeddings = side("p", [2, 3], 0, coarse=False, shuffled=True)
    pictures = by_picture(embeddings)
    norm_of = dict(zip(embeddings.ids, embeddings.norm_N, strict=True))
    for picture, norm in zip(pictures.ids, pictures.norm_N, strict=True):
        assert norm == norm_of[f"{picture}#whole"]
    assert pictures.num_pictures == 2 and pictures.most_views == 3


def test_rows_without_views_are_pictures_whatever_their_ids():
    plain = Embeddings(ids=["a#1", "a#2", "b"], row_ND=np.eye(3, dtype=np.float32))
    pictures = by_picture(plain)
    assert list(pictures.ids) == ["a#1", "a#2", "b"] and pictures.most_views == 1
    assert pictures.rows is plain and list(pictures.view_N) == ["whole"] * 3


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["a#whole", "b"], "id 'b' is no `picture#view`"),
        (["a#whole", "#part"], "id '#part' is no `picture#view`"),
        (["a#whole", "b#part"], "picture 'b' has no row 'b#whole'"),
    ],
)
def test_views_that_lack_their_picture_are_told(ids, said):
    with pytest.raises(ValueError, match=said):
        by_picture(Embeddings(ids=ids, row_ND=np.eye(2, dtype=np.float32)))

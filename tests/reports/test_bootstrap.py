"""Resampled figures against lists in which every drawn query really stands as often as it was drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.reports import Predictions, Truth, evaluate
from asl_fast.reports.bootstrap import (
    FIGURES,
    Ranking,
    all_queries,
    differences,
    intervals,
    resamples,
)

TRUTH = Truth(pairs=(("a", "A"), ("b", "B"), ("b", "C"), ("c", "C")), distractors=frozenset({"d", "e"}))
QUERIES = ["a", "b", "c", "d", "e"]


def predictions(rows):
    queries = list(dict.fromkeys(row[0] for row in rows))
    references = list(dict.fromkeys(row[1] for row in rows))
    return Predictions(
        query_ids=queries,
        reference_ids=references,
        query_P=np.array([queries.index(row[0]) for row in rows], dtype=np.int64),
        reference_P=np.array([references.index(row[1]) for row in rows], dtype=np.int64),
        score_P=np.array([row[2] for row in rows], dtype=np.float64),
        ratio_P=np.array([0.5 if row[3] else 2.0 for row in rows]),
        is_copy_P=np.array([row[3] for row in rows], dtype=bool),
    )


def drawn_again(rows, weights):
    """The same with every query as often as it was drawn, each under a name of its own."""
    times = dict(zip(QUERIES, weights, strict=True))
    pairs = tuple((f"{q}{copy}", r) for q, r in TRUTH.pairs for copy in range(times[q]))
    distractors = frozenset(f"{q}{copy}" for q in TRUTH.distractors for copy in range(times[q]))
    said = [(f"{q}{copy}", *rest) for q, *rest in rows for copy in range(times[q])]
    return predictions(said), Truth(pairs=pairs, distractors=distractors)


rows = st.lists(
    st.tuples(st.sampled_from(QUERIES), st.sampled_from("ABCX"), st.integers(0, 3), st.booleans()),
    min_size=1, max_size=14, unique_by=lambda row: row[:2],
)  # fmt: skip


@settings(max_examples=100)
@given(rows, st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_figures_of_a_resample_are_those_of_the_list_written_out(drawn, weights):
    weight_Q = np.array(weights, dtype=np.uint8)
    said = predictions(drawn)
    alone = Ranking(said, TRUTH, QUERIES).figures(weight_Q)
    filtered = Ranking(said, TRUTH, QUERIES, said.is_copy_P).figures(weight_Q)
    if not weight_Q[:3].any():
        assert np.isnan(alone).all()
        return
    again, truth = drawn_again(drawn, weights)
    if not len(again):
        assert alone[:2].tolist() == [0, 0]
        return
    try:
        report = evaluate(again, truth)
    except ValueError:  # only queries that the truth does not hold were drawn
        return
    for figures, measures in ((alone, report.similarity), (filtered, report.filtered)):
        wanted = [
            measures.uap,
            measures.rp90.recall if measures.rp90 else 0,
            np.nan if measures.precision_at_n_no_refill is None else measures.precision_at_n_no_refill,
            measures.recall_at_1,
        ]
        np.testing.assert_allclose(figures, wanted, rtol=1e-12)


def random_list(generator, skill, num_queries=300):
    """One right and three wrong predictions a query; the higher the skill, the further apart their scores."""
    rows = []
    for query in range(num_queries):
        rows += [(f"q{query}", f"r{query}", generator.normal() + skill, True)]
        rows += [(f"q{query}", f"x{query}_{wrong}", generator.normal(), True) for wrong in range(3)]
    return predictions(rows)


def truth_of(num_queries):
    return Truth(pairs=tuple((f"q{query}", f"r{query}") for query in range(num_queries)))


def test_interval_is_about_as_wide_as_new_draws_of_the_queries_scatter():
    generator = np.random.default_rng(0)
    truth = truth_of(300)
    said = random_list(generator, 2)
    interval = intervals(Ranking(said, truth, all_queries(truth, said)), 400)["uap"]
    fresh = [evaluate(random_list(generator, 2), truth).similarity.uap for _ in range(40)]
    assert interval.low < evaluate(said, truth).similarity.uap < interval.high
    assert interval.standard_error == pytest.approx(np.std(fresh, ddof=1), rel=0.35)
    assert interval.high - interval.low == pytest.approx(3.92 * interval.standard_error, rel=0.15)


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    said, truth = random_list(np.random.default_rng(1), 2, 50), truth_of(50)
    ranking = Ranking(said, truth, all_queries(truth, said))
    assert intervals(ranking, 100, seed=3) == intervals(ranking, 100, seed=3)
    assert intervals(ranking, 100, seed=3) != intervals(ranking, 100, seed=4)


def test_every_resample_draws_as_many_queries_as_there_are():
    assert {int(weight_Q.sum()) for weight_Q in resamples(57, 20, seed=0)} == {57}


def test_better_list_is_told_from_a_worse_one_and_a_list_not_from_itself():
    generator = np.random.default_rng(2)
    truth = truth_of(300)
    worse, better = random_list(generator, 1.5), random_list(generator, 2.5)
    queries = all_queries(truth, worse, better)
    a, b = Ranking(worse, truth, queries), Ranking(better, truth, queries)
    found = differences(a, b, 300)["uap"]
    assert found.difference == pytest.approx(found.b - found.a) and found.low > 0
    assert found.p < 0.02
    assert found.b == pytest.approx(evaluate(better, truth).similarity.uap)
    itself = differences(a, a, 100)
    assert {name: (each.difference, each.p) for name, each in itself.items()} == dict.fromkeys(
        FIGURES, (0, 1)
    )


def test_no_difference_is_rarely_called_one():
    generator = np.random.default_rng(3)
    truth = truth_of(80)
    told_apart = 0
    for _ in range(40):
        one, other = random_list(generator, 2, 80), random_list(generator, 2, 80)
        queries = all_queries(truth, one, other)
        rankings = [Ranking(said, truth, queries) for said in (one, other)]
        told_apart += differences(*rankings, 100)["uap"].p < 0.05
    assert told_apart <= 6  # 2 of 40 expected; 7 or more has a chance of 1 in 280


def test_lists_of_other_queries_are_not_compared():
    truth, said = truth_of(5), random_list(np.random.default_rng(4), 2, 5)
    with pytest.raises(ValueError, match="same queries"):
        differences(
            Ranking(said, truth, ["x", *all_queries(truth, said)]),
            Ranking(said, truth, all_queries(truth, said)),
            10,
        )


def test_a_precision_of_exactly_9_of_10_is_reached():
    said = predictions([("d", "X", 0.9, True), ("a", "A", 0.8, True)])  # the wrong pair first
    ranking = Ranking(said, TRUTH, QUERIES)
    rp90 = FIGURES.index("rp90")
    assert ranking.figures(np.array([9, 0, 0, 1, 0], dtype=np.uint8))[rp90] == 1
    assert ranking.figures(np.array([8, 0, 0, 1, 0], dtype=np.uint8))[rp90] == 0

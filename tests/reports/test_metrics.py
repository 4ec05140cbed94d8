"""Metrics against cases worked by hand, scikit-learn where the definitions meet, and a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from asl_fast.reports import metrics

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
RIGHT = np.array([True, False, True, True, False])


def test_uap_of_a_list_worked_by_hand():
    # right ones at places 1, 3, 4: precision 1/1, 2/3, 3/4; four matches in the truth, one never found
    assert metrics.micro_average_precision(SCORES, RIGHT, 4) == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)


def test_uap_puts_wrong_pairs_first_among_ties_however_they_are_written():
    # all tie: places 1, 2 wrong, 3, 4 right: 1/3, 2/4 over 2 matches
    tied = np.full(4, 0.5)

    for right in ([1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]):
        ours = metrics.micro_average_precision(tied, np.array(right, bool), 2)
        assert ours == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_uap_of_no_predictions_is_0():
    assert metrics.micro_average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0


def test_rp90_is_the_highest_recall_at_precision_9_of_10_and_its_strictest_threshold():
    # places 1..9 right, 10 wrong (9/10, allowed), 11 wrong (9/11, not): recall 9/12 from threshold 0.92 on
    score_P = 1 - np.arange(11) / 100
    curve = metrics.precision_recall(score_P, np.arange(11) < 9, 12)
    point = metrics.recall_at_precision(curve, 0.9)
    assert (point.recall, point.precision, point.threshold) == (9 / 12, 1.0, pytest.approx(0.92))


def test_rp90_counts_a_precision_of_exactly_9_of_10():
    # wrong at place 1, right at 2..10: only the whole list has 9/10
    score_P = 1 - np.arange(10) / 100
    point = metrics.recall_at_precision(metrics.precision_recall(score_P, np.arange(10) > 0, 9), 0.9)
    assert (point.recall, point.precision, point.threshold) == (1.0, 0.9, pytest.approx(0.91))


def test_rp90_that_is_never_reached_is_none():
    assert metrics.recall_at_precision(metrics.precision_recall(SCORES, ~RIGHT, 2), 0.9) is None
    nothing = metrics.precision_recall(np.zeros(0), np.zeros(0, bool), 2)
    assert metrics.recall_at_precision(nothing, 0.9) is None


def test_threshold_takes_all_of_its_ties():
    curve = metrics.precision_recall(np.array([0.9, 0.5, 0.5]), np.array([True, True, False]), 2)
    assert list(curve.threshold_T) == [0.9, 0.5]
    assert list(curve.precision_T) == [1, 2 / 3]
    assert list(curve.recall_T) == [0.5, 1]


def test_precision_at_n_takes_the_top_before_or_after_the_filter():
    #        score  .9     .8     .7    .6    .5
    #        right  yes    no     yes   yes   no
    kept = np.array([True, False, True, False, True])
    assert metrics.precision_at_n(SCORES, RIGHT, 2) == 1 / 2  # .9 right, .8 wrong
    # top 2 = .9, .8; the filter drops .8: 1 of 1
    assert metrics.precision_at_n(SCORES, RIGHT, 2, is_kept_P=kept) == 1
    # survivors .9, .7, .5: the top 3 of them are right, right, wrong
    assert metrics.precision_at_n(SCORES, RIGHT, 3, is_kept_P=kept, refill=True) == 2 / 3
    # top 3 before the filter = .9, .8, .7; kept .9, .7: 2 of 2
    assert metrics.precision_at_n(SCORES, RIGHT, 3, is_kept_P=kept) == 1


def test_precision_at_n_breaks_ties_at_the_cut_worst_case():
    tied = np.full(3, 0.5)
    right = np.array([True, False, True])
    assert metrics.precision_at_n(tied, right, 1) == 0
    # the wrong pair is dropped by the filter; taken first it takes the place of a right one
    kept = np.array([True, False, True])
    assert metrics.precision_at_n(tied, right, 1, is_kept_P=kept) is None
    assert metrics.precision_at_n(tied, right, 1, is_kept_P=kept, refill=True) == 1


def test_precision_of_nothing_is_none():
    assert metrics.precision_at_n(SCORES, RIGHT, 3, is_kept_P=np.zeros(5, bool)) is None
    assert metrics.precision_at_n(np.zeros(0), np.zeros(0, bool), 3) is None


def test_fewer_predictions_than_n_are_judged_as_they_are():
    assert metrics.precision_at_n(SCORES, RIGHT, 50) == 3 / 5


def test_recall_at_1_asks_only_for_the_best_of_each_query():
    # query 0: .9 right; 1: .8 wrong before .7 right; 2: only .5 wrong; a fourth query found nothing
    query_P = np.array([0, 1, 1, 0, 2])
    assert metrics.recall_at_1(query_P, SCORES, RIGHT, 4) == 1 / 4


def test_recall_at_1_counts_a_tie_at_the_top_only_if_all_of_it_is_right():
    tied = np.full(4, 0.5)
    assert metrics.recall_at_1(np.array([0, 0, 1, 1]), tied, np.array([True, False, True, True]), 2) == 1 / 2


def test_first_repeat_is_the_first_prediction_that_stood_before():
    assert metrics.first_repeat(np.array([4, 2, 9, 2, 4])) == 3
    assert metrics.first_repeat(np.array([4, 2, 9])) is None
    assert metrics.first_repeat(np.zeros(0, np.int64)) is None


def test_numbers_that_no_ranking_can_have_are_refused():
    with pytest.raises(ValueError, match="finite"):
        metrics.micro_average_precision(np.array([np.nan]), np.array([True]), 1)
    with pytest.raises(ValueError, match="got 1 for 3 right predictions"):
        metrics.micro_average_precision(SCORES, RIGHT, 1)
    with pytest.raises(ValueError, match="got 0"):
        metrics.precision_recall(SCORES, ~RIGHT & RIGHT, 0)
    with pytest.raises(ValueError, match="one length"):
        metrics.micro_average_precision(SCORES, RIGHT[:2], 3)
    with pytest.raises(ValueError, match="n must be at least 1"):
        metrics.precision_at_n(SCORES, RIGHT, 0)


@pytest.mark.parametrize("seed", range(5))
def test_uap_without_ties_and_with_every_match_found_is_scikit_learns_average_precision(seed):
    random = np.random.default_rng(seed)
    score_P = random.permutation(500) / 500
    right_P = random.random(500) < 0.3
    ours = metrics.micro_average_precision(score_P, right_P, int(right_P.sum()))
    assert ours == pytest.approx(average_precision_score(right_P, score_P), abs=1e-12)


predictions = st.lists(
    st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30
)


@given(predictions, st.integers(0, 3), st.integers(1, 12))
def test_all_metrics_equal_those_of_a_plain_loop_with_ties(rows, num_missed, n):
    score_P = np.array([row[0] / 5 for row in rows])
    right_P = np.array([row[1] for row in rows])
    kept_P = np.array([row[2] for row in rows])
    query_P = np.array([row[3] for row in rows])
    num_truth = max(1, int(right_P.sum()) + num_missed)
    ours = metrics.micro_average_precision(score_P, right_P, num_truth)
    assert ours == pytest.approx(plain_uap(rows, num_truth))
    point = metrics.recall_at_precision(metrics.precision_recall(score_P, right_P, num_truth))
    assert (None if point is None else point.recall) == plain_rp90(rows, num_truth)
    assert metrics.precision_at_n(score_P, right_P, n, is_kept_P=kept_P) == plain_precision(rows, n)
    survivors = [row for row in rows if row[2]]
    assert metrics.precision_at_n(score_P, right_P, n, is_kept_P=kept_P, refill=True) == plain_precision(
        survivors, n
    )
    assert metrics.recall_at_1(query_P, score_P, right_P, 4) == plain_recall_at_1(rows) / 4


def plain_uap(rows, num_truth):
    total, found = 0.0, 0
    for place, (_, right, _, _) in enumerate(sorted(rows, key=lambda row: (-row[0], row[1])), start=1):
        if right:
            found += 1
            total += found / place / num_truth
    return total


def plain_rp90(rows, num_truth):
    best = None
    for threshold in {row[0] for row in rows}:
        taken = [row[1] for row in rows if row[0] >= threshold]
        if sum(taken) * 10 >= len(taken) * 9:
            best = max(best or 0, sum(taken) / num_truth)
    return best


def plain_precision(rows, n):
    badness = {(False, True): 0, (False, False): 1, (True, False): 1, (True, True): 2}
    top = sorted(rows, key=lambda row: (-row[0], badness[row[1], row[2]]))[:n]
    counted = [right for _, right, kept, _ in top if kept]
    return sum(counted) / len(counted) if counted else None


def plain_recall_at_1(rows):
    hits = 0
    for query in range(4):
        own = [row for row in rows if row[3] == query]
        best = max((row[0] for row in own), default=None)
        hits += bool(own) and all(row[1] for row in own if row[0] == best)
    return hits

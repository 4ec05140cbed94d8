"""Thresholds fitted on labelled pairs, against brute force and against folds whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.calibration import LabelledPairs, calibrate
from asl_fast.calibration.ranking import Ranking
from asl_fast.reports.metrics import micro_average_precision
from asl_fast.thresholds import SoftRatio


def labelled(score, ratio, right, query=None, extra_truth=0):
    query = np.arange(len(score)) if query is None else np.asarray(query)
    right = np.asarray(right, bool)
    truth = np.bincount(query[right], minlength=int(query.max(initial=0)) + 1)
    return LabelledPairs(
        score_P=np.asarray(score, float),
        ratio_P=np.asarray(ratio, float),
        is_right_P=right,
        query_P=query,
        num_truth_Q=np.append(truth, np.ones(extra_truth, int)),
    )


@st.composite
def small_folds(draw):
    number = draw(st.integers(1, 25))
    some = st.lists(st.integers(0, 6), min_size=number, max_size=number)
    score, ratio, query = draw(some), draw(some), draw(some)
    right = draw(st.lists(st.booleans(), min_size=number, max_size=number))
    right[draw(st.integers(0, number - 1))] = True
    return labelled(np.array(score) / 6, 2.0 ** (np.array(ratio) - 3), right, query, draw(st.integers(0, 3)))


@given(small_folds(), st.sampled_from([None, 0.5, 1.0, 2.0]), st.sampled_from([0.3, 0.5, 0.75]))
def test_a_cut_is_the_brute_forces_and_uap_is_the_metrics_own(pairs, tau, goal):
    kept = np.ones(len(pairs), bool) if tau is None else pairs.ratio_P <= tau
    score, right, num_truth = pairs.score_P[kept], pairs.is_right_P[kept], pairs.num_truth_Q.sum()
    found = Ranking(pairs).measure((goal,), tau=tau)
    assert found.uap == pytest.approx(micro_average_precision(score, right, num_truth), abs=1e-12)
    best = None
    for threshold in sorted(set(score), reverse=True):
        num_right, num_all = right[score >= threshold].sum(), (score >= threshold).sum()
        if num_right and num_right >= goal * (num_all + 1) - 1e-9 and (best is None or num_right > best[1]):
            best = threshold, num_right, num_all
    cut = found.cuts[0]
    assert (cut is None) == (best is None)
    if best is not None:
        assert cut == pytest.approx((best[0], best[1] / num_truth, best[1] / best[2]))


@given(small_folds(), st.data())
def test_a_query_of_weight_two_counts_as_two_queries(pairs, data):
    number = pairs.num_queries
    weight_Q = np.array(data.draw(st.lists(st.integers(0, 3), min_size=number, max_size=number)), float)
    repeat = np.repeat(np.arange(len(pairs)), weight_Q[pairs.query_P].astype(int))
    num_truth = float(weight_Q @ pairs.num_truth_Q)
    cut = Ranking(pairs).measure((0.5,), weight_Q=weight_Q).cuts[0]
    score, right = pairs.score_P[repeat], pairs.is_right_P[repeat]
    recalls = [
        right[score >= each].sum() / num_truth
        for each in set(score)
        if right[score >= each].sum() >= max(1, 0.5 * ((score >= each).sum() + 1) - 1e-9)
    ]
    assert (None if cut is None else cut.recall) == (pytest.approx(max(recalls)) if recalls else None)


def made_fold(seed, number=400, reversed_share=0.5, spread=0.1):
    """Copies at ratio 0.8, reversed pairs as near by score at 1.25, and many far pairs of either kind."""
    rng = np.random.default_rng(seed)
    is_copy = rng.random(number) > reversed_share
    score = np.concatenate([rng.uniform(0.7, 1, number), rng.uniform(0, 0.75, 3 * number)])
    ratio = np.where(np.append(is_copy, rng.random(3 * number) > 0.5), 0.8, 1.25)
    ratio = ratio * np.exp(rng.normal(0, spread, 4 * number))
    right = np.append(is_copy, np.zeros(3 * number, bool))
    return labelled(score, ratio, right, np.tile(np.arange(number), 4))


def test_points_hold_on_queries_that_were_not_seen():
    fitted, other = calibrate(made_fold(0), num_resamples=20), made_fold(1)
    assert [point.goal for point in fitted.points] == [0.9, 0.95, 0.99]
    for point in fitted.points:
        kept = (other.score_P >= point.min_score.value) & (other.ratio_P <= point.tau.value)
        precision = other.is_right_P[kept].mean()
        assert precision == pytest.approx(point.held_back_precision, abs=0.03)
        assert precision > point.goal - 0.03
        assert other.is_right_P[kept].sum() / other.num_truth_Q.sum() == pytest.approx(
            point.recall.value, abs=0.08
        )


def test_what_a_point_says_of_the_fold_is_what_its_thresholds_do_there():
    fold = made_fold(2)
    for point in calibrate(fold, num_resamples=5).points:
        kept = (fold.score_P >= point.min_score.value) & (fold.ratio_P <= point.tau.value)
        assert point.precision.value == pytest.approx(fold.is_right_P[kept].mean())
        assert point.recall.value == pytest.approx(fold.is_right_P[kept].sum() / fold.num_truth_Q.sum())
        assert point.precision.value >= point.goal
        for measured in (point.precision, point.recall):
            assert measured.low <= measured.value <= measured.high


def test_tau_parts_the_kinds_and_costs_no_uap():
    fold = made_fold(3, spread=0.02)
    for tau_for in ("uap", "precision"):
        fitted = calibrate(fold, tau_for=tau_for, num_resamples=20)
        assert 0.8 < fitted.tau.low <= fitted.tau.value <= fitted.tau.high < 1.2
        assert fitted.held_back.hard > fitted.held_back.alone + 0.2
        assert fitted.held_back.soft > fitted.held_back.alone + 0.2


@pytest.mark.parametrize("spread", [0.1, 0.4, 1.0])
def test_tau_is_the_brute_forces(spread):
    fold = made_fold(4, number=80, spread=spread)
    taus = np.unique(np.append(fold.ratio_P[fold.is_right_P], fold.ratio_P.max()))
    rivals = np.argsort(-np.where(fold.is_right_P, -1, fold.score_P))[: fold.is_right_P.sum()]
    uap = [
        micro_average_precision(
            fold.score_P[kept := fold.ratio_P <= tau], fold.is_right_P[kept], int(fold.num_truth_Q.sum())
        )
        for tau in taus
    ]
    gap = [
        (fold.ratio_P[fold.is_right_P] <= tau).mean() - (fold.ratio_P[rivals] <= tau).mean() for tau in taus
    ]
    best = {"uap": np.max(uap), "precision": np.max(np.array(gap)[np.array(uap) >= uap[-1] - 1e-12])}
    for tau_for, values in (("uap", uap), ("precision", gap)):
        tau = calibrate(fold, tau_for=tau_for, num_resamples=2).tau.value
        assert values[np.searchsorted(taus, tau)] == pytest.approx(best[tau_for], abs=0.02)  # of a grid of 51
        assert uap[np.searchsorted(taus, tau)] >= uap[-1] - 1e-12


@given(small_folds(), st.floats(0.05, 1))
@settings(max_examples=200)
def test_the_strictest_tau_that_keeps_a_share_is_the_brute_forces(pairs, share):
    best_P = np.lexsort((pairs.is_right_P, -pairs.score_P))[: int(pairs.num_truth_Q.sum())]
    right_R = np.sort(pairs.ratio_P[best_P][pairs.is_right_P[best_P]])
    tau = Ranking(pairs).tau_that_keeps(share)
    if not len(right_R):
        assert tau == pairs.ratio_P.max()
        return
    passes = [ratio for ratio in right_R if (right_R <= ratio).mean() >= share - 1e-12]
    assert tau == min(passes)


def test_norms_without_meaning_give_no_soft_ratio_and_a_filter_that_lets_most_through():
    fold = made_fold(5, reversed_share=0.3)
    ratio_P = np.exp(np.random.default_rng(0).normal(0, 0.2, len(fold)))
    blind = labelled(
        fold.score_P, np.where(fold.is_right_P, 1.3, 0.7) * ratio_P, fold.is_right_P, fold.query_P
    )
    fitted = calibrate(blind, num_resamples=2, tau_for="uap")
    assert fitted.soft is None
    kept = blind.ratio_P <= fitted.tau.value
    assert kept[blind.is_right_P].mean() > 0.95
    assert fitted.held_back.soft == fitted.held_back.alone


def test_a_precision_of_few_pairs_is_luck_and_no_point():
    fold = made_fold(6, number=60)
    goals = [point.goal for point in calibrate(fold, (0.5, 0.99), num_resamples=2).points]
    assert goals == [0.5]  # 30 copies can't show 99 %


def test_the_same_seed_gives_the_same_numbers_and_another_other_intervals():
    fold = made_fold(7, number=100)
    one, again, other = (calibrate(fold, num_resamples=10, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one.points[0].recall.value == other.points[0].recall.value
    assert one.points[0].recall != other.points[0].recall


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(1e-3, 1e3)), min_size=1, max_size=20),
    st.floats(0, 50),
    st.floats(0.01, 100),
)
def test_a_soft_ratio_never_raises_a_score_and_leaves_copies_alone(pairs, weight, tau):
    score, ratio = (np.array(column) for column in zip(*pairs, strict=True))
    shrunk = SoftRatio(weight=weight, tau=tau).scores(score, ratio)
    assert (shrunk <= score).all()
    assert (shrunk[ratio <= tau] == score[ratio <= tau]).all()
    wanted = score - weight * np.maximum(np.log(ratio) - np.log(tau), 0)
    np.testing.assert_allclose(shrunk, wanted, rtol=0, atol=1e-12 * max(1, weight))


@settings(max_examples=30)
@given(small_folds())
def test_a_weight_without_end_ranks_as_the_hard_filter_does(pairs):
    soft = SoftRatio(weight=1e6, tau=1.0)
    cuts = Ranking(pairs, soft.scores(pairs.score_P, pairs.ratio_P)).measure((0.5, 0.9)).cuts
    for cut, hard in zip(cuts, Ranking(pairs).measure((0.5, 0.9), tau=1.0).cuts, strict=True):
        if cut is not None and cut.min_score >= 0:
            assert cut == hard


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score_P": np.array([np.nan, 1.0])}, "scores must be finite"),
        ({"ratio_P": np.array([0.0, 1.0])}, "ratios must be finite and above 0"),
        ({"ratio_P": np.array([1.0])}, "one length"),
        ({"is_right_P": np.zeros(2, bool)}, "not one pair is right"),
        ({"num_truth_Q": np.array([0, 1])}, "must count every match"),
    ],
)
def test_pairs_that_can_not_be_are_told(change, words):
    good = {
        "score_P": np.array([0.5, 1.0]), "ratio_P": np.array([0.5, 1.0]),
        "is_right_P": np.array([True, False]), "query_P": np.array([0, 1]), "num_truth_Q": np.array([1, 0]),
    }  # fmt: skip
    with pytest.raises(ValueError, match=words):
        LabelledPairs(**{**good, **change})


def test_too_few_copies_and_impossible_goals_are_told():
    fold = made_fold(8, number=12)
    with pytest.raises(ValueError, match="queries have a right pair, at least 10 must"):
        calibrate(fold)
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibrate(fold, (90,))

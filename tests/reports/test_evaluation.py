"""Predictions against truth as one record, its JSON and its picture."""

import json

import numpy as np
import pytest
from PIL import Image

from asl_fast.reports import Predictions, Truth, as_json, evaluate, measures_table, write_curve, write_json
from asl_fast.reports.evaluation import MAX_CURVE_POINTS

TRUTH = Truth(pairs=(("q0", "r0"), ("q1", "r1"), ("q2", "r2"), ("q2", "r3")), distractors=frozenset({"q3"}))


def predictions(rows, *, judged=True):
    """rows: (query, reference, score, ratio); verdicts at tau 1."""
    ratio_P = np.array([row[3] for row in rows], dtype=np.float64)
    return Predictions(
        query_ids=[f"q{place}" for place in range(10)],
        reference_ids=[f"r{place}" for place in range(10)],
        query_P=np.array([row[0] for row in rows], dtype=np.int64),
        reference_P=np.array([row[1] for row in rows], dtype=np.int64),
        score_P=np.array([row[2] for row in rows], dtype=np.float64),
        ratio_P=ratio_P if judged else None,
        is_copy_P=ratio_P <= 1 if judged else None,
        name="said.csv",
    )


# place 1 right; 2 wrong, but the ratio drops it; 3 right; 4 right, but the ratio drops it; 5 wrong and kept
ROWS = [(0, 0, 0.9, 0.5), (3, 3, 0.8, 1.5), (1, 1, 0.7, 1.0), (2, 2, 0.6, 1.1), (2, 5, 0.5, 0.9)]


def test_every_number_of_a_case_worked_by_hand():
    report = evaluate(predictions(ROWS), TRUTH)
    assert (report.n, report.num_truth, report.num_distractors) == (3, 4, 1)
    alone, filtered = report.similarity, report.filtered
    # alone: right at places 1, 3, 4 of 5; four matches in the truth
    assert alone.uap == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)
    assert (alone.true_positives, alone.false_positives, alone.num_predictions) == (3, 2, 5)
    assert (alone.rp90.recall, alone.rp90.threshold) == (1 / 4, 0.9)
    assert (
        alone.precision_at_n_no_refill == alone.precision_at_n_refill == 2 / 3
    )  # the top 3: right, wrong, right
    assert alone.recall_at_1 == 1.0  # q0, q1 and q2 each have a right pair on top
    # filtered: left are places 1 (right), 3 (right), 5 (wrong)
    assert filtered.uap == pytest.approx((1 + 2 / 2) / 4)
    assert (filtered.true_positives, filtered.false_positives, filtered.num_predictions) == (2, 1, 3)
    assert (filtered.rp90.recall, filtered.rp90.threshold) == (2 / 4, 0.7)
    assert filtered.precision_at_n_no_refill == 1.0  # the top 3 before the filter keep places 1 and 3
    assert filtered.precision_at_n_refill == 2 / 3  # the top 3 survivors are places 1, 3, 5
    assert filtered.recall_at_1 == 2 / 3  # q2's right pair was dropped, a wrong one is on top


def test_tau_judges_anew_by_the_ratios():
    report = evaluate(predictions(ROWS), TRUTH, tau=1.2)
    assert report.filtered.true_positives == 3 and report.filtered.num_predictions == 4
    assert report.tau == 1.2


def test_predictions_without_ratios_have_no_filtered_column():
    report = evaluate(predictions(ROWS, judged=False), TRUTH)
    assert report.filtered is None
    assert "with ASL filter" not in measures_table(report)
    with pytest.raises(ValueError, match="has no ratios"):
        evaluate(predictions(ROWS, judged=False), TRUTH, tau=1.0)


def test_queries_that_never_meet_are_an_error_with_an_example_of_each():
    other = Truth(pairs=(("Q00001.jpg", "R1"),), name="truth.csv")
    with pytest.raises(
        ValueError, match=r"no query of truth\.csv occurs in it; it has 'q0', the truth has 'Q00001\.jpg'"
    ):
        evaluate(predictions(ROWS), other)


def test_an_answer_that_does_not_exist_is_null_in_json_and_words_in_the_table(tmp_path):
    report = evaluate(predictions([(0, 5, 0.9, 2.0)]), TRUTH)
    write_json(tmp_path / "report.json", report)
    plain = json.loads((tmp_path / "report.json").read_text())
    assert plain["similarity"]["rp90"] is None
    assert plain["filtered"]["precision_at_n_refill"] is None
    assert plain["similarity"]["curve"] == {"threshold": [0.9], "precision": [0.0], "recall": [0.0]}
    assert plain == as_json(report)
    assert "does not reach P90" in measures_table(report) and "nothing kept" in measures_table(report)


def test_curve_of_many_predictions_is_bounded_and_keeps_ends_and_operating_point():
    random = np.random.default_rng(3)
    count = 20_000
    rows = [(place % 10, place, score, 1.0) for place, score in enumerate(random.permutation(count) / count)]
    said = predictions(rows)
    object.__setattr__(said, "reference_ids", [f"r{place}" for place in range(count)])
    right = [row for row in rows if row[2] > 0.6 or random.random() < 0.05]
    truth = Truth(pairs=tuple((f"q{row[0]}", f"r{row[1]}") for row in right))
    measures = evaluate(said, truth).similarity
    curve = measures.curve
    assert len(curve.threshold_T) <= MAX_CURVE_POINTS + 3
    assert curve.threshold_T[0] == said.score_P.max() and curve.threshold_T[-1] == said.score_P.min()
    assert curve.recall_T[-1] == 1
    assert measures.rp90.threshold in curve.threshold_T
    assert (np.diff(curve.threshold_T) < 0).all() and (np.diff(curve.recall_T) >= 0).all()


@pytest.mark.parametrize("rows", [ROWS, [(0, 5, 0.9, 2.0)]])
def test_curve_is_a_png_with_ink_in_both_colours_that_it_draws(tmp_path, rows):
    write_curve(tmp_path / "curve.png", evaluate(predictions(rows), TRUTH))
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG" and picture.size == (1080, 810)
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0x8B, 0x94, 0x9E), (0xD9, 0x48, 0x0F)):
        assert (pixels == colour).all(axis=1).sum() > 50

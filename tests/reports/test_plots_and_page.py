"""Plots and the page of an evaluation: what they show is what was measured."""

import html
import io
import re

import numpy as np
import pytest
from pages import HOSTILE, RED, plain_colour
from PIL import Image

from asl_fast.reports import (
    Predictions,
    QueryKinds,
    Truth,
    draw_all,
    draw_both_curves,
    evaluate,
    spread_of,
    worst_pairs,
    write_evaluation_page,
    write_png,
)

TRUTH = Truth(
    pairs=(("a", "A"), ("b", "B"), ("c", "C"), ("f", "F")),
    distractors=frozenset({"d", "e"}),
    name="truth.csv",
)
KINDS = QueryKinds(
    group_of={"a": ("copy", "crop"), "b": ("copy", "blur"), "c": ("copy", "blur"), "f": ("copy", "crop"),
              "d": ("reversed", ""), "e": ("easy", "")}
)  # fmt: skip
# right: a .9, b .8 (dropped), c .2; f never; wrong: d .95 (dropped), d .7, e .6, a .5
ROWS = [("d", "D", 0.95, 1.5), ("a", "A", 0.9, 0.5), ("b", "B", 0.8, 1.2), ("d", "Y", 0.7, 0.5),
        ("e", "X", 0.6, 0.4), ("a", "X", 0.5, 0.5), ("c", "C", 0.2, 0.5)]  # fmt: skip


def predictions(rows=ROWS, judged=True):
    queries = list(dict.fromkeys(row[0] for row in rows))
    references = list(dict.fromkeys(row[1] for row in rows))
    ratio_P = np.array([row[3] for row in rows], dtype=np.float64)
    return Predictions(
        query_ids=queries,
        reference_ids=references,
        query_P=np.array([queries.index(row[0]) for row in rows], dtype=np.int64),
        reference_P=np.array([references.index(row[1]) for row in rows], dtype=np.int64),
        score_P=np.array([row[2] for row in rows], dtype=np.float64),
        ratio_P=ratio_P if judged else None,
        is_copy_P=ratio_P <= 1 if judged else None,
    )


def test_spread_has_right_pairs_and_the_best_pair_of_every_query_without_a_match():
    spread = spread_of(predictions(), TRUTH, kinds=KINDS)
    scores = {cloud.name: sorted(cloud.score_M.tolist()) for cloud in spread.clouds}
    assert scores == {"copies": [0.2, 0.8, 0.9], "easy": [0.6], "reversed": [0.95]}
    assert spread.tau == 0.5  # the largest ratio that the file calls a copy
    assert spread_of(predictions(), TRUTH, tau=1.3).tau == 1.3
    plain = spread.as_json()
    assert [sum(kind["counts"]) for kind in plain["kinds"]] == [3, 1, 1]
    assert plain["kinds"][2]["ratio"] == [1.5]


def test_spread_without_kinds_has_the_best_wrong_pair_of_every_query():
    spread = spread_of(predictions(judged=False), TRUTH)
    assert [sorted(cloud.score_M.tolist()) for cloud in spread.clouds] == [[0.2, 0.8, 0.9], [0.5, 0.6, 0.95]]
    assert spread.tau is None and spread.clouds[0].ratio_M is None


def test_scatter_is_thinned_to_a_seeded_sample_and_the_histogram_is_not():
    rows = [(f"q{row}", f"r{row}", row / 5000, 0.5) for row in range(5000)]
    truth = Truth(pairs=tuple(row[:2] for row in rows))
    copies = spread_of(predictions_of_many(rows), truth).clouds[0]
    again = spread_of(predictions_of_many(rows), truth).clouds[0]
    assert len(copies.shown) == 2000 and len(np.unique(copies.shown)) == 2000
    assert (copies.shown == again.shown).all() and len(copies.score_M) == 5000


def predictions_of_many(rows):
    place_P = np.arange(len(rows))
    return Predictions(
        query_ids=[row[0] for row in rows], reference_ids=[row[1] for row in rows], query_P=place_P,
        reference_P=place_P, score_P=np.array([row[2] for row in rows]),
        ratio_P=np.array([row[3] for row in rows]), is_copy_P=np.ones(len(rows), bool),
    )  # fmt: skip


def test_worst_pairs_are_sorted_into_false_dropped_and_missed():
    said = predictions()
    worst = worst_pairs(said, TRUTH, 0.55, is_kept_P=said.is_copy_P, kinds=KINDS)
    assert [(pair.query_id, pair.score) for pair in worst.false_positives] == [("d", 0.7), ("e", 0.6)]
    assert [(pair.query_id, pair.score) for pair in worst.dropped] == [("b", 0.8)]
    assert [(pair.query_id, pair.score) for pair in worst.missed] == [("f", None), ("c", 0.2)]
    assert worst.false_positives[0].note == "reversed" and worst.missed[1].note == "copy, blur"
    cut = worst_pairs(said, TRUTH, 0.55, is_kept_P=said.is_copy_P, num_shown=1)
    assert (len(cut.false_positives), cut.num_false_positives) == (1, 2)
    assert (len(cut.missed), cut.num_missed) == (1, 2)


@pytest.mark.parametrize(
    ("rows", "kinds", "judged"),
    [(ROWS, KINDS, True), (ROWS, None, False), (ROWS[:1], KINDS, False), (ROWS[1:2], None, True)],
)
def test_every_plot_there_is_can_be_drawn(tmp_path, rows, kinds, judged):
    said = predictions(rows, judged)
    report = evaluate(said, TRUTH, kinds=kinds)
    figures = draw_all(report, spread_of(said, TRUTH, kinds=kinds))
    assert set(figures) == {"scores"} | ({"ratios"} if judged else set()) | ({"families"} if kinds else set())
    for name, figure in figures.items():
        write_png(tmp_path / f"{name}.png", figure)
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.format == "PNG" and len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_bars_are_as_long_as_the_shares():
    report = evaluate(predictions(), TRUTH, kinds=KINDS, threshold=0.55)
    axes = draw_all(report, spread_of(predictions(), TRUTH, kinds=KINDS))["families"].axes
    widths = [[bar.get_width() for bar in container] for part in axes for container in part.containers]
    # copy, blur, crop alone and filtered; easy and reversed alone and filtered
    assert widths == [[0.5, 0.5, 0.5], [0.25, 0, 0.5], [1, 1], [1, 1]]


def test_two_curves_are_named_in_one_picture():
    reports = [evaluate(predictions(), TRUTH), evaluate(predictions(judged=False), TRUTH)]
    words = [text.get_text() for text in draw_both_curves(reports, ["one", "two"]).legends[0].get_texts()]
    assert words[0].startswith("one: uAP") and words[1].startswith("two: uAP")


def page(path, rows=ROWS, **more):
    said = predictions(rows)
    report = evaluate(said, TRUTH, kinds=more.pop("kinds", None))
    gallery = worst_pairs(said, TRUTH, 0.55, is_kept_P=said.is_copy_P)
    figures = draw_all(report, spread_of(said, TRUTH))
    options = {"query_picture": plain_colour(RED), "reference_picture": lambda _: None, **more}
    write_evaluation_page(path, report, gallery, figures, **options)
    return path.read_text(encoding="utf-8")


def test_page_holds_numbers_plots_and_pictures_and_asks_for_nothing_else(tmp_path):
    text = page(tmp_path / "e.html", kinds=KINDS)
    assert "precision at 4 (no refill)" in text and "never found" in text and "no picture" in text
    assert len(re.findall(r'<img src="data:image/png;base64,', text)) == 3
    assert text.count("data:image/jpeg") == 5  # queries d, e, b, f, c: each picture once
    assert not re.findall(r'(?:src|href)="(?!data:|file:)', text)
    assert "default-src 'none'; img-src data:;" in html.unescape(text) and "<script" not in text


def test_hostile_ids_never_leave_their_place(tmp_path):
    rows = [(f"{name}{place}", f"{name}x", 0.9 - place / 100, 0.5) for place, name in enumerate(HOSTILE)]
    said = predictions([("a", "A", 0.99, 0.5), *rows])
    report = evaluate(said, TRUTH, threshold=0)
    gallery = worst_pairs(said, TRUTH, 0)
    path = tmp_path / "e.html"
    write_evaluation_page(
        path, report, gallery, {}, query_picture=plain_colour(RED), reference_picture=lambda _: None
    )
    text = path.read_text(encoding="utf-8")
    assert len(gallery.false_positives) == len(HOSTILE)
    assert "<script" not in text and "onerror=alert(1)>" not in text and "\u202e" not in text
    assert "onmouseover='document" not in text and "\x1b" not in text


def test_picture_in_the_page_is_the_plot(tmp_path):
    import base64

    text = page(tmp_path / "e.html")
    data = re.search(r'src="data:image/png;base64,([^"]+)"', text)[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.size[0] == 1080

"""The copies benchmark counts every engine the same way."""

import json

import numpy as np
import pytest
from PIL import Image

from asl_fast import reports
from benchmarks.copies.measuring import rows
from benchmarks.copies.nearest import predictions
from benchmarks.copies.tables import section

QUERIES = ["c0", "c1", "r0", "l0", "e0"]
KINDS = ("copy", "copy", "reversed", "look-alike", "easy")


@pytest.fixture
def said(tmp_path):
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nc0,R0\nc1,R1\nr0,\nl0,\ne0,\n")
    told = "\n".join(
        f"{query},{kind},f{place}" for place, (query, kind) in enumerate(zip(QUERIES, KINDS, strict=True))
    )
    (tmp_path / "queries.csv").write_text(f"query_id,kind,family\n{told}\n")
    truth = reports.read_truth(tmp_path / "truth.csv")
    return truth, reports.read_kinds(tmp_path / "queries.csv", truth)


def test_the_nearest_are_those_of_a_plain_count_with_all_ties():
    rng = np.random.default_rng(3)
    query_QB, reference_RWB = rng.random((7, 16)) < 0.5, rng.random((9, 3, 16)) < 0.5
    found = predictions("hash", list("abcdefg"), list("ABCDEFGHI"), query_QB, reference_RWB, 2)
    for query in range(7):
        equal_R = [max(int((query_QB[query] == way).sum()) for way in ways) for ways in reference_RWB]
        second = sorted(equal_R)[-2]
        wanted = {place: equal / 16 for place, equal in enumerate(equal_R) if equal >= second}
        of_query_P = found.query_P == query
        assert dict(zip(found.reference_P[of_query_P], found.score_P[of_query_P], strict=True)) == wanted


def test_without_a_filter_a_reversed_query_is_called_a_copy_and_with_it_rejected(said):
    truth, kinds = said
    judged = reports.Predictions(
        query_ids=QUERIES, reference_ids=["R0", "R1"], query_P=np.array([0, 1, 2, 3]),
        reference_P=np.array([0, 1, 0, 1]), score_P=np.array([0.9, 0.8, 0.95, 0.3]),
        ratio_P=np.array([0.9, 0.8, 1.4, 0.9]), is_copy_P=np.array([True, True, False, True]),
    )  # fmt: skip
    alone, filtered = rows("ours", judged, truth, kinds)
    called = [{group["kind"]: group["called_copy"] for group in row["groups"]} for row in (alone, filtered)]
    assert called[0]["reversed"] == 1 and called[1]["reversed"] == 0
    assert called[0]["look-alike"] == 0 and called[1]["easy"] == 0
    assert alone["precision_at_n_refill"] == 0.5 and filtered["precision_at_n_refill"] == 1
    assert filtered["uap"] == 1 and alone["uap"] < 1


def test_the_tables_name_every_engine_family_and_kind(said):
    truth, kinds = said
    bits_QB = np.eye(5, 8, dtype=bool)
    found = rows(
        "PDQ", predictions("PDQ", QUERIES, ["R0", "R1"], bits_QB, bits_QB[:2, None], 1), truth, kinds
    )
    counts = {"references": 2, "copy": 2, "reversed": 1, "look-alike": 1, "easy": 1}
    made = {"counts": counts, "options": {"edits": "own"}, "seed": 0}
    report = {"benchmark": made, "model": "default", "k": 1, "versions": "", "date": "", "rows": found}
    text = section(json.loads(json.dumps(report)))
    line = next(line for line in text.splitlines() if line.startswith("| PDQ"))
    assert line.startswith("| PDQ | 1.000 |") and "look-alike rejected" in text and "| f0 | 1.000 |" in text


def test_hashes_tell_a_picture_from_another_and_pdq_knows_it_mirrored():
    hashes = pytest.importorskip("benchmarks.copies.hashes")
    rng = np.random.default_rng(0)
    one, other = (
        np.asarray(Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((200, 160)))
        for _ in range(2)
    )
    for way in hashes.HASHES:
        same, different, mirrored = (way.bits(picture) for picture in (one, other, one[:, ::-1]))
        assert not (way.bits(one) != same).any()
        assert (different[0] != same[0]).mean() > 0.25
        assert ((mirrored[0] != same[: way.ways]).mean(axis=1).min() < 0.2) == (way.ways == 8)

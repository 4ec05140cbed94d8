"""What the ablation says of matches whose answer is known."""

from __future__ import annotations

import json

import pytest

from asl_fast import reports
from asl_fast.training import TrainSettings
from benchmarks.ablation.measuring import measure
from benchmarks.ablation.table import section
from benchmarks.ablation.variants import variants


@pytest.fixture
def measured(tmp_path):
    """Four copies found (two of them crops, one with a norm that is too long), one reversed query."""
    rows = ["query_id,reference_id,score,query_norm,reference_norm,ratio,verdict"]
    told = [("q0", "r0", 0.9, 0.8), ("q1", "r1", 0.8, 0.9), ("q2", "r2", 0.7, 1.3), ("q3", "r3", 0.6, 0.7)]
    told += [("x0", "r0", 0.95, 1.5)]
    for query, reference, score, ratio in told:
        rows.append(f"{query},{reference},{score},{ratio},1.0,{ratio},{'copy' if ratio <= 1 else 'original'}")
    (tmp_path / "matches.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,r1\nq2,r2\nq3,r3\nx0,\n")
    kinds = ["query_id,kind,family", "q0,copy,crop", "q1,copy,crop", "q2,copy,colour", "q3,copy,colour"]
    (tmp_path / "queries.csv").write_text("\n".join([*kinds, "x0,reversed,"]) + "\n")
    truth = reports.read_truth(tmp_path / "truth.csv")
    return measure(tmp_path / "matches.csv", truth, reports.read_kinds(tmp_path / "queries.csv", truth))


def test_the_figures_are_those_of_the_pairs(measured):
    assert measured["uap"] == pytest.approx((1 / 2 + 2 / 3 + 3 / 4 + 4 / 5) / 4)
    assert measured["precision_at_n"] == 3 / 4
    assert measured["at_1"]["uap"] == pytest.approx(3 / 4)
    assert (measured["at_1"]["true_positives"], measured["at_1"]["false_positives"]) == (2, 0)
    assert measured["right_direction"] == {"copies": 3 / 4, "crops": 1.0}
    assert measured["rejected"] == {"reversed": 1.0}
    assert [row["tau"] for row in measured["taus"]] == sorted(row["tau"] for row in measured["taus"])


def test_the_table_has_a_line_for_each_variant_and_a_spread_for_seeds(measured):
    rows = [{"variant": name, "seed": seed} | measured for name in ("one", "two") for seed in range(2)]
    benchmark = {"counts": {"references": 4, "copy": 4}}
    report = {"rows": rows, "steps": 3, "benchmark": benchmark, "versions": "torch 2", "date": "today"}
    lines = [line for line in section(json.loads(json.dumps(report))).splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines] == ["| variant", "| one", "| two"]
    assert "0.750 ± 0.000" in lines[1]


def test_variants_differ_in_what_they_say_and_train_as_long(measured):
    trained = [variant for variant in variants(7) if variant.settings is not None]
    assert len({(v.settings.to_dict().__repr__(), v.with_pairs) for v in trained}) == len(trained)
    assert all(isinstance(v.settings, TrainSettings) and v.settings.num_steps == 7 for v in trained)

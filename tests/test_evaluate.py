"""The evaluate command, from files to files."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from asl_fast import evaluate
from asl_fast.errors import DONE, USER_ERROR

MATCHES = """\
query_id,reference_id,score,query_norm,reference_norm,ratio,verdict
a,A,0.9,1.0,2.0,0.5,copy
b,X,0.8,3.0,2.0,1.5,original
b,B,0.7,1.0,2.0,0.5,copy
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "matches.csv").write_text(MATCHES)
    (tmp_path / "truth.csv").write_text("query_id,reference_id\na,A\nb,B\nc,C\nd,\n")
    return tmp_path


def run(folder, *more):
    return evaluate.main(["--matches", f"{folder}/matches.csv", "--truth", f"{folder}/truth.csv", *more])


def test_table_json_and_picture_say_the_same(folder, capsys):
    assert run(folder, "--bootstrap", "0") == DONE
    # alone: right at places 1 and 3 of 3, 3 matches: (1 + 2/3) / 3; filtered: places 1 and 2: (1 + 1) / 3
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["uAP", "0.5556", "0.6667"] in lines
    assert ["false", "positives", "1", "0"] in lines
    report = json.loads((folder / "matches.evaluation.json").read_text())
    assert report["similarity"]["uap"] == pytest.approx(5 / 9)
    assert report["filtered"]["uap"] == pytest.approx(2 / 3)
    assert (folder / "matches.evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_outputs_go_where_they_are_asked_for(folder):
    assert run(folder, "--out", f"{folder}/new/report.json", "--curve", f"{folder}/curve.png") == DONE
    assert sorted(path.name for path in folder.iterdir()) == ["curve.png", "matches.csv", "new", "truth.csv"]
    assert (folder / "new" / "report.json").exists()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--bootstrap", "-1"], "--bootstrap must be at least 0, got -1"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--report", "{folder}/matches.csv"], "is what --matches reads; name another file"),
        (["--tau", "0"], "--tau must be a finite number above 0, got 0.0"),
        (["--out", "{folder}"], "is a folder; name a file in it"),
        (["--out", "{folder}/matches.csv"], "is what --matches reads; name another file"),
        (["--curve", "{folder}/truth.csv"], "is what --truth reads; name another file"),
        (["--out", "{folder}/x", "--curve", "{folder}/x"], "--out and --curve are both"),
        (["--truth", "{folder}/none.csv"], "No such file or directory"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_status_2_and_writes_nothing(folder, capsys, more, complaint):
    before = sorted(folder.iterdir())
    assert run(folder, *(word.format(folder=folder) for word in more)) == USER_ERROR
    said = capsys.readouterr().err
    assert said.startswith("asl-fast evaluate: error: ") and complaint in said and said.count("\n") == 1
    assert sorted(folder.iterdir()) == before
    assert (folder / "matches.csv").read_text() == MATCHES


def test_mistake_in_a_file_names_file_and_line(folder, capsys):
    (folder / "matches.csv").write_text(MATCHES + "a,A,0.1,1,2,0.5,copy\n")
    assert run(folder) == USER_ERROR
    assert (
        "matches.csv line 5: predicts query 'a', reference 'A' again (first on line 2)"
        in capsys.readouterr().err
    )


def test_truth_with_other_names_is_refused_with_an_example_of_each(folder, capsys):
    (folder / "truth.csv").write_text("a.jpg,A.jpg\n")
    assert run(folder) == USER_ERROR
    said = capsys.readouterr().err
    assert "it has 'a', the truth has 'a.jpg'" in said


def test_command_needs_neither_pyplot_nor_torch(folder):
    script = """
import sys
from asl_fast import evaluate
status = evaluate.main(["--matches", sys.argv[1] + "/matches.csv", "--truth", sys.argv[1] + "/truth.csv"])
assert "matplotlib.pyplot" not in sys.modules and "torch" not in sys.modules
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (DONE, b"")


def test_kinds_beside_the_truth_are_told_apart_and_a_threshold_is_taken(folder, capsys):
    (folder / "queries.csv").write_text(
        "query_id,kind,family\na,copy,crop\nb,copy,blur\nc,copy,crop\nd,easy,\n"
    )
    assert run(folder, "--threshold", "0.65") == DONE
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["crop", "2", "found", "0.5000", "0.5000", "0.5000", "0.5000"] in lines
    report = json.loads((folder / "matches.evaluation.json").read_text())
    assert report["similarity"]["at_threshold"]["false_positives"] == 1
    assert run(folder, "--threshold", "nan") == USER_ERROR
    assert run(folder, "--kinds", f"{folder}/truth.csv") == USER_ERROR
    assert "truth.csv line 1: has no column kind" in capsys.readouterr().err


def test_intervals_hold_the_figures_and_are_printed(folder, capsys):
    assert run(folder, "--bootstrap", "200") == DONE
    report = json.loads((folder / "matches.evaluation.json").read_text())
    assert (report["intervals"]["resamples"], report["intervals"]["seed"]) == (200, 0)
    for side in ("similarity", "filtered"):
        uap = report["intervals"][side]["uap"]
        assert uap["low"] <= report[side]["uap"] <= uap["high"]
    assert f"[{uap['low']:.4f}, {uap['high']:.4f}]" in capsys.readouterr().out
    run(folder, "--bootstrap", "200", "--out", f"{folder}/again.json")
    assert json.loads((folder / "again.json").read_text()) == report


def test_page_plots_and_their_numbers_are_written(folder):
    (folder / "pictures").mkdir()
    Image.new("RGB", (40, 30), (200, 30, 40)).save(folder / "pictures" / "c.png")
    flags = ["--report", f"{folder}/page.html", "--plots", f"{folder}/plots", "--bootstrap", "0"]
    assert run(folder, *flags, "--pictures", f"{folder}/pictures", f"{folder}/pictures") == DONE
    assert {path.name for path in (folder / "plots").iterdir()} == {
        "precision-recall.png", "ratios.png", "scores.png"
    }  # fmt: skip
    assert "data:image/jpeg" in (folder / "page.html").read_text()
    report = json.loads((folder / "matches.evaluation.json").read_text())
    assert report["spread"]["kinds"][0]["score"] == [0.9, 0.7]
    assert [pair["query_id"] for pair in report["worst"]["missed"]] == ["c"]


def test_two_files_are_compared_on_the_same_queries(folder, capsys):
    (folder / "plain.csv").write_text("a,A,0.5\nb,X,0.9\nc,C,0.8\n")
    command = ["--compare", f"{folder}/plain.csv", f"{folder}/matches.csv", "--truth", f"{folder}/truth.csv"]
    assert evaluate.main([*command, "--bootstrap", "100"]) == DONE
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # A: right at places 2 and 3: (1/2 + 2/3) / 3; B: 1 and 3 alone, 1 and 2 filtered
    assert ["uAP", "0.3889", "0.5556", "+0.1667"] in [line[:4] for line in lines]
    assert ["uAP", "0.3889", "0.6667", "+0.2778"] in [line[:4] for line in lines]
    written = json.loads((folder / "plain-matches.comparison.json").read_text())
    assert written["similarity"]["uap"]["difference"] == pytest.approx(1 / 6)
    assert 0 < written["similarity"]["uap"]["p"] <= 1
    assert (folder / "plain-matches.comparison.png").read_bytes().startswith(b"\x89PNG")
    for wrong in (["--report", "x.html"], ["--bootstrap", "0"], ["--matches", "x.csv"]):
        assert evaluate.main([*command, *wrong]) == USER_ERROR

"""The filter command: candidates of any method, norms of files or pictures, verdicts."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from asl_fast import embedder
from asl_fast import filter as filter_command
from asl_fast.cli import main
from asl_fast.embeddings import write_embeddings
from asl_fast.errors import DONE, USER_ERROR
from asl_fast.records import Embeddings
from asl_fast.thresholds import SoftRatio

EXAMPLES = Path(__file__).parent.parent / "examples"
CANDIDATES = "query_id,reference_id,score\nb,Y,7\na,X,9\na,Y,3\n"
NORMS = {"a": 1.0, "b": 3.0, "X": 2.0, "Y": 1.5}


@pytest.fixture
def folder(tmp_path):
    """Three candidates, and rows of both sides, with one more on each."""
    for name, ids in (("queries", ["b", "more", "a"]), ("refs", ["X", "other", "Y"])):
        row_ND = np.array([[NORMS.get(each, 5.0), 0.0] for each in ids], np.float32)
        rows = Embeddings(ids=ids, row_ND=row_ND, fingerprint="0123456789abcdef")
        write_embeddings(tmp_path / f"{name}.npy", rows)
    (tmp_path / "c.csv").write_text(CANDIDATES)
    (tmp_path / "truth.csv").write_text("query_id,reference_id\na,X\nb,\n")
    return tmp_path


def run(folder, *more, candidates=("c.csv",), norms=True):
    files = ["--candidates", *(f"{folder}/{name}" for name in candidates), "--out", f"{folder}/f.csv"]
    sides = ["--refs", f"{folder}/refs.npy", "--queries", f"{folder}/queries.npy"] if norms else []
    return filter_command.main([*files, *sides, *(str(word).format(folder=folder) for word in more)])


def rows(folder):
    with open(folder / "f.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_candidate_gets_its_ratio_and_verdict_in_its_place(folder, capsys):
    assert run(folder) == DONE
    assert [tuple(row.values()) for row in rows(folder)] == [
        ("b", "Y", "7.0", "3.0", "1.5", "2.0", "original"),
        ("a", "X", "9.0", "1.0", "2.0", "0.5", "copy"),
        ("a", "Y", "3.0", "1.0", "1.5", str(1 / 1.5), "copy"),
    ]
    said = capsys.readouterr().out
    assert "3 candidates (2 copy, 1 original)" in said and "tau 1, the paper's: " in said
    settings = json.loads((folder / "f.search.json").read_text())
    assert (settings["norms_fingerprint"], settings["num_matches"]) == ("0123456789abcdef", 3)


def test_only_one_verdict_is_written_where_it_is_asked_for(folder):
    run(folder, "--only", "copy", "--tau", 0.6)
    assert [row["query_id"] + row["reference_id"] for row in rows(folder)] == ["aX"]
    run(folder, "--only", "original", "--tau", 0.6)
    assert [row["query_id"] + row["reference_id"] for row in rows(folder)] == ["bY", "aY"]


def test_a_soft_score_is_the_shrunk_score(folder):
    run(folder, "--soft-ratio", "2,0.6")
    soft = SoftRatio(weight=2.0, tau=0.6)
    for row in rows(folder):
        wanted = soft.scores(np.array([float(row["score"])]), np.array([float(row["ratio"])]))
        assert float(row["soft_score"]) == wanted[0]
    assert float(rows(folder)[1]["soft_score"]) == 9.0


def test_candidates_with_ratios_need_no_norms(folder, capsys):
    run(folder)
    (folder / "f.csv").rename(folder / "judged.csv")
    (folder / "f.search.json").rename(folder / "judged.search.json")
    capsys.readouterr()
    assert run(folder, "--tau", 0.6, candidates=["judged.csv"], norms=False) == DONE
    assert [row["verdict"] for row in rows(folder)] == ["original", "copy", "original"]
    assert run(folder, norms=False) == USER_ERROR
    assert "carry no ratios; name --refs and --queries" in capsys.readouterr().err


def test_several_files_are_joined(folder, capsys):
    (folder / "d.csv").write_text("a,Y,5\nb,Y,1\n")
    assert run(folder, "--found-by", 2, candidates=["c.csv", "d.csv"]) == DONE
    assert [(row["query_id"], row["score"], row["found_by"]) for row in rows(folder)] == [
        ("a", "4.0", "2"), ("b", "4.0", "2"),
    ]  # fmt: skip
    run(folder, "--score", "max", candidates=["c.csv", "d.csv"])
    assert [(row["query_id"], row["score"], row["found_by"]) for row in rows(folder)] == [
        ("a", "9.0", "1"), ("b", "7.0", "2"), ("a", "5.0", "2"),
    ]  # fmt: skip


def test_copynce_json_is_read(folder):
    (folder / "c.json").write_text('[["b", [["Y", 7]]], ["a", [["X", 9], ["Y", 3]]]]')
    assert run(folder, candidates=["c.json"]) == DONE
    assert sorted(row["verdict"] for row in rows(folder)) == ["copy", "copy", "original"]


def test_against_the_truth_every_tau_is_tried(folder, capsys):
    assert run(folder, "--truth", "{folder}/truth.csv", "--soft-ratio", "10,1") == DONE
    said = capsys.readouterr().out
    assert "sweep: highest uAP 1.0000 at tau 0.5" in said and "ranked by soft_score: uAP 1.0000" in said
    assert (folder / "f.tau.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "f.tau.csv").read_text().count("\n") == 5


def test_only_pictures_that_candidates_name_are_embedded_and_each_once(tmp_path, monkeypatch):
    seen = []
    whole = embedder.Embedder.embed_files

    def embed_files(self, files, *more, **named):
        seen.append(sorted(file.id for file in files))
        return whole(self, files, *more, **named)

    monkeypatch.setattr(embedder.Embedder, "embed_files", embed_files)
    pairs = [
        ("copy01_crop-half", "boof_21e19216dc"),
        ("copy01_crop-half", "boof_0f6d1d780e"),
        ("copy02_crop-quarter", "boof_0f6d1d780e"),
    ]
    lines = [f"{query},{reference},1.{place}" for place, (query, reference) in enumerate(pairs)]
    (tmp_path / "c.csv").write_text("\n".join(lines) + "\n")
    status = main(
        ["filter", "--candidates", f"{tmp_path}/c.csv", "--out", f"{tmp_path}/f.csv", "--tau", "1",
         "--refs", str(EXAMPLES / "references"), "--queries", str(EXAMPLES / "queries")]
    )  # fmt: skip
    assert status == DONE
    assert seen == [sorted({query for query, _ in pairs}), sorted({reference for _, reference in pairs})]
    found = rows(tmp_path)
    assert found[0]["verdict"] == "copy" and found[2]["verdict"] == "copy"  # crops of their references
    assert found[0]["query_norm"] == found[1]["query_norm"]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--tau", "nan"], "--tau must be a finite number above 0, got nan"),
        (["--found-by", "2"], "--found-by must be from 1 to 1, the number of --candidates, got 2"),
        (["--soft-ratio", "2"], "--soft-ratio must be `model`, `none` or WEIGHT,TAU"),
        (["--soft-ratio=-1,1"], "weight must be from 0 to 1e+06"),
        (["--soft-ratio", "model"], "--soft-ratio needs calibrated thresholds"),
        (["--sweep", "x.png"], "--sweep needs --truth"),
        (["--out", "{folder}/c.csv"], "is what --candidates reads"),
        (["--thresholds", "{folder}/none"], "there is no such file"),
        (["--queries", "{folder}/refs.npy"], "has no norm of 'b', which --candidates name (2 of 2 ids"),
        (["--refs", "{folder}/empty"], "--refs"),
        (["--truth", "{folder}/strange.csv"], "both must name queries in the same way"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_writes_nothing(folder, capsys, more, complaint):
    (folder / "empty").mkdir()
    (folder / "strange.csv").write_text("z,Z\n")
    before = sorted(folder.iterdir())
    assert run(folder, *more) == USER_ERROR
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_one_side_alone_and_norms_of_two_models_are_refused(folder, capsys):
    files = ["--candidates", f"{folder}/c.csv", "--out", f"{folder}/f.csv", "--refs", f"{folder}/refs.npy"]
    assert filter_command.main(files) == USER_ERROR
    assert "norms are of both sides; name --queries too" in capsys.readouterr().err
    rows = Embeddings(ids=["a", "b"], row_ND=np.ones((2, 2), np.float32), fingerprint="f" * 16)
    write_embeddings(folder / "queries.npy", rows)
    assert run(folder) == USER_ERROR
    assert "embed both with the same model" in capsys.readouterr().err

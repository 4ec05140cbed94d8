"""`asl-fast search --score-norm`: matches.csv, --min-score and rankings speak of the normalised score."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from asl_fast import models
from asl_fast.cli import main
from asl_fast.embeddings import read_embeddings, write_embeddings
from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.records import Embeddings


def write(path: Path, number: int, seed: int, fingerprint: str = "f00d", num_dims: int = 12) -> np.ndarray:
    row_ND = np.random.default_rng(seed).standard_normal((number, num_dims)).astype(np.float32) + 0.4
    ids = [f"{path.stem}{row}" for row in range(number)]
    write_embeddings(path, Embeddings(ids=ids, row_ND=row_ND, fingerprint=fingerprint))
    return row_ND


@pytest.fixture
def score_QN(tmp_path: Path) -> np.ndarray:
    """Of 12 queries and 50 references, less the mean of ranks 0 to 2 of 40 background rows."""
    sides = {"queries": (12, 1), "refs": (50, 2), "background": (40, 3)}
    query_QD, ref_ND, background_BD = (write(tmp_path / f"{name}.npz", *of) for name, of in sides.items())

    def cosines(other_ND: np.ndarray) -> np.ndarray:
        norms = np.outer(plain.row_norms(query_QD), plain.row_norms(other_ND))
        return plain.dots(query_QD, other_ND) / norms

    nearest_Q3 = -np.sort(-cosines(background_BD), axis=1)[:, :3]
    bias_Q = (nearest_Q3[:, 0] + nearest_Q3[:, 1] + nearest_Q3[:, 2]) / 3
    return cosines(ref_ND) - bias_Q[:, None]


def arguments(folder: Path, *flags: object) -> list[str]:
    sides = [f"--{name}={folder / name}.npz" for name in ("refs", "queries")]
    return ["search", *sides, f"--out={folder / 'm.csv'}", *map(str, flags)]


def search(folder: Path, *flags: object) -> list[dict[str, str]]:
    norm = ["--score-norm", "1.0[0,2]", "--background", str(folder / "background.npz")]
    assert main(arguments(folder, *norm, *flags)) == 0
    with open(folder / "m.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_pairs(rows: list[dict[str, str]], score_QN: np.ndarray, wanted_QN: np.ndarray) -> None:
    found = {(int(row["query_id"][7:]), int(row["reference_id"][4:])): float(row["score"]) for row in rows}
    wanted = {(q, n): score_QN[q, n] for q, n in zip(*np.nonzero(wanted_QN), strict=True)}
    assert found == pytest.approx(wanted, abs=1e-13)


@pytest.mark.parametrize("engine", ["exact", "faiss:Flat"])
def test_each_way_to_search_finds_what_the_formula_finds(
    tmp_path: Path, score_QN: np.ndarray, engine: str
) -> None:
    if engine != "exact":
        pytest.importorskip("faiss")
    how = ["--engine", engine]
    third_Q1 = -np.sort(-score_QN, axis=1)[:, 2:3]
    best = np.sort(score_QN.ravel())[-20]
    assert_pairs(search(tmp_path, *how, "-k", 3), score_QN, score_QN >= third_Q1)
    assert_pairs(search(tmp_path, *how, "--min-score", 0.05), score_QN, score_QN >= 0.05)
    assert_pairs(search(tmp_path, *how, "--best-pairs", 20), score_QN, score_QN >= best)
    assert_pairs(search(tmp_path, *how, "--fold", "max", "-k", 3), score_QN, score_QN >= third_Q1)


@pytest.mark.parametrize("engine", ["exact", "faiss:Flat"])
def test_stretched_queries_are_found_by_the_formula_too(
    tmp_path: Path, score_QN: np.ndarray, engine: str
) -> None:
    if engine != "exact":
        pytest.importorskip("faiss")
    sides = [read_embeddings(tmp_path / f"{name}.npz").row_ND for name in ("queries", "refs", "background")]
    cosine_QN = plain.dots(*sides[:2]) / np.outer(*map(plain.row_norms, sides[:2]))
    cosine_QB = plain.dots(sides[0], sides[2]) / np.outer(*map(plain.row_norms, sides[::2]))
    length_Q1 = 2.5 * -np.sort(-cosine_QB, axis=1)[:, :2].mean(axis=1, keepdims=True)
    stretched_QN = length_Q1 * (cosine_QN - length_Q1 / 2)
    how = ["--score-norm", "stretch:2.5avg[2]", "--engine", engine]
    best, third_Q1 = np.sort(stretched_QN.ravel())[-20], -np.sort(-stretched_QN, axis=1)[:, 2:3]
    assert_pairs(search(tmp_path, *how, "-k", 3), stretched_QN, stretched_QN >= third_Q1)
    assert_pairs(search(tmp_path, *how, "--best-pairs", 20), stretched_QN, stretched_QN >= best)
    assert_pairs(search(tmp_path, *how, "--min-score", -1), stretched_QN, stretched_QN >= -1)
    assert "normalised stretch:2.5[0,1] over 40 rows" in (tmp_path / "m.search.json").read_text()


def test_an_index_gives_the_file_that_embeddings_give(tmp_path: Path, score_QN: np.ndarray) -> None:
    plainly = search(tmp_path, "--best-pairs", 30)
    assert main(["index", "build", str(tmp_path / "refs.index"), str(tmp_path / "refs.npz")]) == 0
    assert search(tmp_path, "--best-pairs", 30, "--refs", tmp_path / "refs.index") == plainly
    assert search(tmp_path, "--best-pairs", 30, "--memory-budget", "16M") == plainly


def test_the_normalisation_is_said_and_a_report_can_be_drawn(
    tmp_path: Path, score_QN: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, "--report", tmp_path / "report.html")
    said = capsys.readouterr().out
    assert f"scores normalised by 1.0[0,2] over 40 rows of {tmp_path / 'background.npz'}" in said


@pytest.mark.parametrize("spelled", ["default", "1[0,2]", "1.0mean[3]", "1avg[3]"])
def test_the_models_own_background_is_the_default(tmp_path: Path, score_QN: np.ndarray, spelled: str) -> None:
    wanted = search(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "background.npz").rename(tmp_path / "model" / models.BACKGROUND)
    assert main(arguments(tmp_path, "--score-norm", spelled, "--model", tmp_path / "model")) == 0
    with open(tmp_path / "m.csv", newline="") as file:
        assert list(csv.DictReader(file)) == wanted


def test_a_shipped_background_fits_its_model() -> None:
    for name in models.SHIPPED:
        path = models.find_background(name)
        if path is not None:
            background, loaded = read_embeddings(path), models.load_descriptor(name)
            assert background.fingerprint == loaded.fingerprint
            assert len(background) >= 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--score-norm", "1.0[2,0]"], "--score-norm: score normalisation: got 1.0[2,0]; write"),
        (["--score-norm", "lots"], "--score-norm: score normalisation: got 'lots'; write WEIGHT[FIRST,LAST]"),
        (["--score-norm", "1[0,2]", "--model", "M"], "needs --background: model M comes without one"),
        (["--background", "background.npz"], "--background background.npz goes with --score-norm"),
        (["--score-norm", "1[0,2]", "--background", "no.npz"], "no.npz does not exist"),
        (["--score-norm", "1[0,50]", "--background", "background.npz"], "needs 51 rows or more, but"),
        (["--score-norm", "1[0,2]", "--background", "other.npz"], "was embedded by model beef"),
        (["--score-norm", "1[0,2]", "--background", "narrow.npz"], "has 5 columns but"),
        (["--score-norm", "1[0,2]", "--background", "background.npz", "--min-score", "inf"],
         "--min-score is a number, got inf"),
        (["--score-norm", "9999999[0,2]", "--background", "background.npz"], "bias must be a number from"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line_and_exit_status_2(
    tmp_path: Path, score_QN: np.ndarray, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other.npz", 9, 0, fingerprint="beef")
    write(tmp_path / "narrow.npz", 9, 0, num_dims=5)
    assert main(arguments(tmp_path, *flags)) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "m.csv").exists()


def test_evaluate_measures_the_search_with_the_same_normalisation(
    tmp_path: Path, score_QN: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = "".join(f"queries{q},refs{score_QN[q].argmax() if q < 6 else q}\n" for q in range(12))
    (tmp_path / "truth.csv").write_text("query_id,reference_id\n" + truth)
    search(tmp_path, "--best-pairs", 600)
    common = ["evaluate", "--truth", str(tmp_path / "truth.csv")]
    assert main([*common, "--matches", str(tmp_path / "m.csv"), "--out", str(tmp_path / "a.json")]) == 0
    sides = ["--refs", str(tmp_path / "refs.npz"), "--queries", str(tmp_path / "queries.npz")]
    norm = ["--score-norm", "default", "--background", str(tmp_path / "background.npz")]
    assert main([*common, *sides, *norm, "--out", str(tmp_path / "b.json")]) == 0
    assert main([*common, *sides, "--out", str(tmp_path / "c.json")]) == 0
    uap = [json.loads((tmp_path / f"{name}.json").read_text())["similarity"]["uap"] for name in "abc"]
    assert uap[0] == uap[1] != uap[2]
    capsys.readouterr()
    assert main([*common, *sides, *norm[2:]]) == 2
    assert "goes with --score-norm" in capsys.readouterr().err
    assert main([*common, "--matches", str(tmp_path / "m.csv"), *norm]) == 2
    assert "--score-norm goes with --refs and --queries" in capsys.readouterr().err

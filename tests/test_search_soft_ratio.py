"""`asl-fast search --soft-ratio`: matches.csv is ranked by the soft score, and says so to its readers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from asl_fast.cli import main
from asl_fast.embeddings import write_embeddings
from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.records import Embeddings
from asl_fast.thresholds import Measured, SoftRatio, Thresholds, write_thresholds

SOFT = SoftRatio(weight=0.3, tau=0.6)
FINGERPRINT = "f00d" * 8


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Soft scores and ratios of 12 queries and 50 references; thresholds of their model."""
    rng = np.random.default_rng(1)
    sides = []
    for name, number in (("queries", 12), ("refs", 50)):
        row_ND = rng.standard_normal((number, 12)) + 0.4
        row_ND *= rng.uniform(0.4, 2.5, (number, 1))
        ids = [f"{name}{row}" for row in range(number)]
        sides.append(row_ND.astype(np.float32))
        write_embeddings(
            tmp_path / f"{name}.npz", Embeddings(ids=ids, row_ND=sides[-1], fingerprint=FINGERPRINT)
        )
    norm_Q, norm_N = map(plain.row_norms, sides)
    ratio_QN = norm_Q[:, None] / norm_N
    score_QN = plain.dots(*sides) / np.outer(norm_Q, norm_N) - 0.3 * np.maximum(0, np.log(ratio_QN / 0.6))
    fitted = Thresholds(
        fingerprint=FINGERPRINT, scores="cosine", tau=Measured(1.1, 1.0, 1.2), soft=SOFT, points=(),
        num_queries=9, num_truth=3, num_pairs=9,
    )  # fmt: skip
    write_thresholds(tmp_path / "thresholds.json", fitted)
    return score_QN, ratio_QN


def search(folder: Path, *flags: object, soft: str = "0.3,0.6") -> list[dict[str, str]]:
    sides = [f"--{name}={folder / name}.npz" for name in ("refs", "queries")]
    given = [f"--soft-ratio={soft}"] if soft else []
    assert main(["search", *sides, f"--out={folder / 'm.csv'}", *given, *map(str, flags)]) == 0
    with open(folder / "m.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_pairs(rows: list[dict[str, str]], score_QN: np.ndarray, wanted_QN: np.ndarray) -> None:
    """These pairs, best first; the scores to the last bit but one: NumPy's logarithm is another."""
    found = {(int(row["query_id"][7:]), int(row["reference_id"][4:])): float(row["score"]) for row in rows}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == set(zip(*(place.tolist() for place in np.nonzero(wanted_QN)), strict=True))
    for pair, score in found.items():
        assert score == pytest.approx(score_QN[pair], abs=1e-14)


@pytest.mark.parametrize("engine", ["exact", "faiss:Flat"])
def test_each_way_to_search_finds_the_best_by_soft_score(
    tmp_path: Path, pairs: tuple[np.ndarray, np.ndarray], engine: str
) -> None:
    if engine != "exact":
        pytest.importorskip("faiss")
    score_QN, ratio_QN = pairs
    third_Q1 = -np.sort(-score_QN, axis=1)[:, 2:3]
    best = np.sort(score_QN.ravel())[-20]
    how = ["--engine", engine]
    assert_pairs(search(tmp_path, *how, "-k", 3), score_QN, score_QN >= third_Q1)
    assert_pairs(search(tmp_path, *how, "--min-score", 0.05), score_QN, score_QN >= 0.05)
    assert_pairs(search(tmp_path, *how, "--best-pairs", 20), score_QN, score_QN >= best)
    assert_pairs(search(tmp_path, *how, "--fold", "max", "-k", 3), score_QN, score_QN >= third_Q1)
    copies_QN = np.where(ratio_QN <= 0.9, score_QN, -np.inf)  # the hard filter beside it
    wanted_QN = copies_QN >= np.sort(copies_QN.ravel())[-20]
    rows = search(tmp_path, *how, "--best-pairs", 20, "--direction", "copy", "--tau", 0.9)
    assert_pairs(rows, score_QN, wanted_QN)


def test_an_index_and_slices_give_the_file_that_embeddings_give(
    tmp_path: Path, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    plainly = search(tmp_path, "--best-pairs", 30)
    assert main(["index", "build", str(tmp_path / "refs.index"), str(tmp_path / "refs.npz")]) == 0
    assert search(tmp_path, "--best-pairs", 30, "--refs", tmp_path / "refs.index") == plainly
    assert search(tmp_path, "--best-pairs", 30, "--memory-budget", "16M") == plainly


def test_the_models_soft_ratio_is_taken_where_it_is_asked_for_and_filter_gives_the_same_scores(
    tmp_path: Path, pairs: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    given = search(tmp_path, "-k", 50)
    capsys.readouterr()
    thresholds = ["--thresholds", tmp_path / "thresholds.json"]
    assert search(tmp_path, "-k", 50, *thresholds, soft="model") == [
        {**row, "verdict": "copy" if float(row["ratio"]) <= 1.1 else "original"} for row in given
    ]
    assert "ranked by score - 0.3 max(0, log(ratio / 0.6))" in capsys.readouterr().out
    assert json.loads((tmp_path / "m.search.json").read_text())["scores"] == "cosine, soft ratio 0.3,0.6"
    search(tmp_path, "-k", 50, *thresholds, soft="none")
    (tmp_path / "m.csv").rename(tmp_path / "c.csv")
    filtering = ["filter", "--candidates", f"{tmp_path}/c.csv", "--out", f"{tmp_path}/f.csv"]
    assert main([*filtering, "--soft-ratio", "0.3,0.6"]) == 0
    with open(tmp_path / "f.csv", newline="") as file:
        shrunk = {(row["query_id"], row["reference_id"]): row["soft_score"] for row in csv.DictReader(file)}
    assert shrunk == {(row["query_id"], row["reference_id"]): row["score"] for row in given}


def test_the_models_soft_ratio_is_the_default_where_it_fits(
    tmp_path: Path, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    thresholds = ["--thresholds", tmp_path / "thresholds.json"]
    soft, hard = search(tmp_path, *thresholds, soft="model"), search(tmp_path, *thresholds, soft="none")
    assert hard != soft == search(tmp_path, *thresholds, soft="")
    assert search(tmp_path, soft="") == search(tmp_path, soft="none")  # no thresholds that fit
    # a given least score is one of cosines
    above = [row for row in hard if float(row["score"]) >= 0.3]
    assert 0 < len(above) < len(hard)
    assert search(tmp_path, *thresholds, "-k", 10, "--min-score", 0.3, soft="") == above


def test_matches_that_have_lost_by_the_ratio_are_not_fitted_or_shrunk_again(
    tmp_path: Path, pairs: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path)
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nqueries1,refs1\n")
    files = ["--matches", f"{tmp_path}/m.csv", "--truth", f"{tmp_path}/truth.csv"]
    capsys.readouterr()
    assert main(["calibrate", *files, "--out", f"{tmp_path}/t.json"]) == 2
    assert "is ranked by a soft ratio (cosine, soft ratio 0.3,0.6)" in capsys.readouterr().err
    filtering = ["filter", "--candidates", f"{tmp_path}/m.csv", "--out", f"{tmp_path}/f.csv"]
    assert main([*filtering, "--soft-ratio", "0.3,0.6"]) == 2
    assert "have lost by the ratio already" in capsys.readouterr().err
    assert main(filtering) == 0
    assert "soft ratio" in json.loads((tmp_path / "f.search.json").read_text())["scores"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--soft-ratio", "lots"], "--soft-ratio must be `model`, `none` or WEIGHT,TAU, such as"),
        (["--soft-ratio=-1,0.9"], "weight must be from 0 to 1e+06"),
        (["--soft-ratio", "0.4,0"], "tau must be finite and above 0"),
        (["--soft-ratio", "model"], "--soft-ratio needs calibrated thresholds: "),
        (["--soft-ratio", "1,1", "--device", "cuda"], "--soft-ratio is searched on the CPU only"),
        (["--soft-ratio", "1,1", "--min-score", "nan"], "--min-score is a number, got nan"),
        (["--soft-ratio", "1,1", "--precision", "90"], "--precision is of scores that lose nothing"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_status_2(
    tmp_path: Path, pairs: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str],
    flags: list[str], message: str,
) -> None:  # fmt: skip
    sides = [f"--{name}={tmp_path / name}.npz" for name in ("refs", "queries")]
    assert main(["search", *sides, f"--out={tmp_path / 'm.csv'}", *flags]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "m.csv").exists()

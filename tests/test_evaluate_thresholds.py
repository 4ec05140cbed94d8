"""`asl-fast evaluate` of descriptors judges and ranks as `asl-fast search` does: by tau and soft ratio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asl_fast.cli import main
from asl_fast.embeddings import write_embeddings
from asl_fast.records import Embeddings
from asl_fast.thresholds import Measured, SoftRatio, Thresholds, write_thresholds

FINGERPRINT = "f00d" * 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 queries near references, of which the first 15 are copies, and shorter than the others."""
    rng = np.random.default_rng(0)
    refs = rng.standard_normal((60, 8))
    refs /= np.linalg.norm(refs, axis=1, keepdims=True)
    queries = refs[:30] + 0.2 * rng.standard_normal((30, 8))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    queries *= np.repeat([0.6, 1.2, 0.9], [15, 10, 5])[:, None]
    for name, row_ND in (("q", queries), ("r", refs)):
        ids = [f"{name}{row}" for row in range(len(row_ND))]
        rows = Embeddings(ids=ids, row_ND=row_ND.astype(np.float32), fingerprint=FINGERPRINT)
        write_embeddings(tmp_path / f"{name}.npz", rows)
    lines = [f"q{row},{f'r{row}' if row < 15 else ''}\n" for row in range(30)]
    (tmp_path / "truth.csv").write_text("query_id,reference_id\n" + "".join(lines))
    fitted = Thresholds(
        fingerprint=FINGERPRINT, scores="cosine", tau=Measured(0.8, 0.7, 0.9),
        soft=SoftRatio(weight=0.5, tau=0.3), points=(), num_queries=9, num_truth=3, num_pairs=9,
    )  # fmt: skip
    write_thresholds(tmp_path / "thresholds.json", fitted)
    return tmp_path


def evaluate(folder: Path, *flags: object) -> dict:
    where = ["--truth", f"{folder}/truth.csv", "--out", f"{folder}/e.json", "--bootstrap", "0"]
    assert main(["evaluate", *where, *map(str, flags)]) == 0
    return json.loads((folder / "e.json").read_text())


def sides(folder: Path) -> list[str]:
    return ["--refs", f"{folder}/r.npz", "--queries", f"{folder}/q.npz"]


def same_measures(a: dict, b: dict) -> bool:
    return all(a[name] == b[name] for name in ("similarity", "filtered", "tau", "threshold"))


def test_rows_of_a_calibrated_model_are_judged_at_its_tau(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = evaluate(folder, *sides(folder), "--tau", 0.8)
    capsys.readouterr()
    with_model = ["--thresholds", folder / "thresholds.json"]
    models = evaluate(folder, *sides(folder), *with_model, "--soft-ratio", "none")
    assert "tau 0.8, of " in capsys.readouterr().out
    assert same_measures(models, given)
    by_default, asked = (
        evaluate(folder, *sides(folder), *with_model, *more) for more in ((), ("--soft-ratio", "model"))
    )
    assert same_measures(by_default, asked) and not same_measures(by_default, given)
    capsys.readouterr()
    papers = evaluate(folder, *sides(folder))  # no model that is at hand made these rows
    assert "tau 1, the paper's: " in capsys.readouterr().out
    assert papers["tau"] == 1.0
    assert papers["filtered"]["num_predictions"] > given["filtered"]["num_predictions"]


@pytest.mark.parametrize("soft", ["0.5,0.3", "model"])
def test_a_soft_ratio_is_that_of_search(folder: Path, soft: str) -> None:
    common = ["--soft-ratio", soft, "--thresholds", f"{folder}/thresholds.json"]
    plainly = evaluate(folder, *sides(folder))
    directly = evaluate(folder, *sides(folder), *common)
    out = ["--out", f"{folder}/m.csv", "--best-pairs", "500000"]
    assert main(["search", *sides(folder), *common, *out]) == 0
    assert same_measures(evaluate(folder, "--matches", f"{folder}/m.csv", "--tau", 0.8), directly)
    assert directly["similarity"]["uap"] > plainly["similarity"]["uap"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--matches", "m.csv", "--soft-ratio", "1,1"], "--soft-ratio goes with --refs and --queries"),
        (["--matches", "m.csv", "--thresholds", "t.json"], "--thresholds goes with --refs and --queries"),
        (["--refs", "r.npz", "--queries", "q.npz", "--soft-ratio", "2"], "or WEIGHT,TAU, such as 0.4,0.9"),
        (["--refs", "r.npz", "--queries", "q.npz", "--soft-ratio", "model"], "needs calibrated thresholds"),
        (
            ["--refs", "u.npz", "--queries", "u.npz", "--soft-ratio", "1,1"],
            "have length 1, which holds no norm",
        ),
        (
            ["--refs", "r.npz", "--queries", "q.npz", "--soft-ratio", "1,1", "--device", "cuda"],
            "on the CPU only",
        ),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_status_2(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    ids = [f"q{row}" for row in range(8)]
    write_embeddings(folder / "u.npz", Embeddings(ids=ids, row_ND=np.eye(8, dtype=np.float32)))
    assert main(["evaluate", "--truth", "truth.csv", *flags]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1

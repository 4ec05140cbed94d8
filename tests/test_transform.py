"""The transform command: fit, apply, search with what comes out; mistakes are one line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from asl_fast.cli import main
from asl_fast.embeddings import read_embeddings, write_embeddings
from asl_fast.records import Embeddings
from asl_fast.transforms import Negatives, fit_whitening, transformed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, number in (("train", 200), ("refs", 50), ("queries", 9)):
        row_ND = (rng.standard_normal((number, 12)) * rng.uniform(1, 4, (number, 1))).astype(np.float32)
        ids = [f"{name}{row}" for row in range(number)]
        write_embeddings(tmp_path / f"{name}.npy", Embeddings(ids=ids, row_ND=row_ND, fingerprint="f00d"))
    other = Embeddings(ids=["a"], row_ND=np.ones((1, 12), np.float32), fingerprint="beef")
    write_embeddings(tmp_path / "other.npy", other)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *flags: object) -> int:
    monkeypatch.chdir(folder)
    return main(["transform", *map(str, flags)])


def test_fit_apply_and_search_keep_the_verdicts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, folder, "--fit", "train.npy", "--dims", 8, "--out", "w.vt") == 0
    assert "whitening of 200 x 12 to 8 dimensions, which hold" in capsys.readouterr().out
    for name in ("refs", "queries", "train"):
        how = ["--whiten", "w.vt", "--subtract-negatives", "train.npy", "--out", f"{name}.w.npy"]
        assert run(monkeypatch, folder, "--rows", f"{name}.npy", *how) == 0
    train = read_embeddings("train.npy")
    whitening = fit_whitening(train.row_ND, 8)
    steps = [whitening, Negatives(transformed(train, [whitening]))]
    done = read_embeddings("refs.w.npy")
    np.testing.assert_array_equal(done.row_ND, transformed(read_embeddings("refs.npy"), steps).row_ND)
    norm = ["--score-norm", "1.0[0,2]", "--background", "train.w.npy"]
    sides = ["--refs", "refs.w.npy", "--queries", "queries.w.npy", "--min-score=-9", *norm]
    assert main(["search", *sides, "--out", "m.csv"]) == 0
    assert (
        main(["search", "--refs", "refs.npy", "--queries", "queries.npy", "--min-score=-1", "--out", "p.csv"])
        == 0
    )
    found, plain = (
        {(row["query_id"], row["reference_id"]): row
         for row in csv.DictReader(Path(name).read_text().splitlines())}
        for name in ("m.csv", "p.csv")
    )  # fmt: skip
    assert found.keys() == plain.keys()
    for pair, row in found.items():
        assert float(row["ratio"]) == pytest.approx(float(plain[pair]["ratio"]), rel=1e-6)
        assert row["verdict"] == plain[pair]["verdict"]
    assert main(["search", "--refs", "refs.w.npy", "--queries", "queries.npy", "--out", "x.csv"]) == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--fit", "train.npy", "--out", "w.vt"], "--fit takes --dims"),
        (["--fit", "train.npy", "--dims", 8, "--out", "w.npy"], "whitening is written as FAISS's .vt"),
        (["--fit", "train.npy", "--dims", 80, "--out", "w.vt"], "keeps from 1 to 12 dimensions"),
        (["--fit", "train.npy", "--dims", 8, "--whiten", "w.vt", "--out", "x.vt"], "neither of the"),
        (["--rows", "refs.npy", "--out", "x.npy"], "say what to do"),
        (["--rows", "refs.npy", "--whiten", "no.vt", "--out", "x.npy"], "no.vt is no file"),
        (["--rows", "refs.npy", "--whiten", "refs.npy", "--out", "x.npy"], "is no linear map of FAISS"),
        (["--rows", "refs.npy", "--dims", 8, "--whiten", "w.vt", "--out", "x.npy"], "--dims goes with --fit"),
        (["--rows", "refs.npy", "--subtract-negatives", "other.npy", "--out", "x.npy"], "is of model beef"),
        (["--rows", "refs.npy", "--subtract-negatives", "train.npy", "--neighbours", 0, "--out", "x.npy"],
         "k and iterations at least 1"),
        (["--rows", "refs.npy", "--subtract-negatives", "train.npy", "--threads", 0, "--out", "x.npy"],
         "--threads must be at least 1"),
        (["--rows", "refs.npy", "--subtract-negatives", "train.npy", "--out", "x.txt"], "ends in '.txt'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_nothing_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list, said: str
) -> None:
    before = sorted(folder.iterdir())
    assert run(monkeypatch, folder, *flags) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet", ".h5"])
def test_whose_norms_they_are_is_kept_with_the_rows(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    row_ND = rng.standard_normal((30, 12)).astype(np.float32)
    ids = [f"id{row}" for row in range(30)]
    write_embeddings(tmp_path / "rows.npy", Embeddings(ids=ids, row_ND=row_ND, fingerprint="f00d"))
    assert (
        main(["transform", "--fit", f"{tmp_path}/rows.npy", "--dims", "6", "--out", f"{tmp_path}/w.vt"]) == 0
    )
    out = tmp_path / f"white{suffix}"
    whiten = ["--rows", f"{tmp_path}/rows.npy", "--whiten", f"{tmp_path}/w.vt", "--out", str(out)]
    assert main(["transform", *whiten]) == 0
    read = read_embeddings(out)
    assert read.norms_fingerprint == "f00d" != read.fingerprint
    other = Embeddings(
        ids=ids, row_ND=row_ND, norm_N=np.ones(30), fingerprint="f00d", norms_fingerprint="beef"
    )
    if suffix != ".npy":  # which holds no norms beside its rows
        write_embeddings(tmp_path / f"other{suffix}", other)
        assert read_embeddings(tmp_path / f"other{suffix}").norms_fingerprint == "beef"

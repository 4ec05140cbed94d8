"""The calibrate command, and how search uses what it writes."""

import csv
import json

import numpy as np
import pytest

from asl_fast import calibrate
from asl_fast.cli import main
from asl_fast.embeddings import write_embeddings
from asl_fast.errors import DONE, USER_ERROR
from asl_fast.models import Descriptor, DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.records import Embeddings
from asl_fast.thresholds import read_thresholds, write_thresholds

NUMBER = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model's folder."""
    folder = tmp_path_factory.mktemp("model")
    config = DescriptorConfig(backbone="test_resnet", edge_px=64)
    save_descriptor(folder, Descriptor(config), config)
    return folder


@pytest.fixture
def bench(tmp_path, trained):
    """Queries of which two thirds are copies, near their reference and shorter; the others are longer."""
    rng = np.random.default_rng(0)
    refs = rng.standard_normal((NUMBER, 16))
    refs /= np.linalg.norm(refs, axis=1, keepdims=True)
    is_copy = np.arange(NUMBER) % 3 > 0
    queries = refs + rng.normal(0, 0.15, refs.shape)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    queries *= np.where(is_copy, 0.8, 1.25)[:, None] * rng.uniform(0.95, 1.05, (NUMBER, 1))
    fingerprint = load_descriptor(trained).fingerprint
    for name, row_ND in (("refs", refs), ("queries", queries)):
        ids = [f"{name[0]}{row}" for row in range(NUMBER)]
        rows = Embeddings(ids=ids, row_ND=row_ND.astype(np.float32), fingerprint=fingerprint)
        write_embeddings(tmp_path / f"{name}.npy", rows)
    truth = [f"q{row},{f'r{row}' if is_copy[row] else ''}" for row in range(NUMBER)]
    (tmp_path / "truth.csv").write_text("query_id,reference_id\n" + "\n".join(truth) + "\n")
    kinds = [f"q{row},{'copy,crop' if is_copy[row] else 'reversed,'}" for row in range(NUMBER)]
    (tmp_path / "queries.csv").write_text("query_id,kind,family\n" + "\n".join(kinds) + "\n")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    return tmp_path


def search(folder, *more):
    sides = ["--refs", f"{folder}/refs.npy", "--queries", f"{folder}/queries.npy"]
    return main(["search", *sides, "--out", f"{folder}/matches.csv", *map(str, more)])


def fit(folder, *more):
    files = ["--matches", f"{folder}/matches.csv", "--truth", f"{folder}/truth.csv", "--resamples", "5"]
    return calibrate.main([*files, *map(str, more)])


def rows(folder):
    with open(folder / "matches.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_search_uses_what_calibrate_fitted_and_says_so(bench, capsys):
    assert search(bench, "--model", bench) == DONE
    assert "tau 1, the paper's: --model" in capsys.readouterr().out
    assert fit(bench, "--model", bench, "--precision", 90, "--queries", f"{bench}/queries.csv") == DONE
    said = capsys.readouterr().out
    thresholds = read_thresholds(bench / "thresholds.json")
    assert thresholds.fingerprint == load_descriptor(bench).fingerprint
    tau = thresholds.tau.value
    assert 0.8 < tau < 1.2 and f"tau {tau:.3f} (" in said
    table = {tuple(line.split()[:-2]): line.split()[-2] for line in said.splitlines()[3:5]}
    assert table == {("copy", "crop", "40"): "1.000", ("reversed", "20"): "0.000"}

    assert search(bench, "--model", bench) == DONE
    assert f"tau {tau:.4g}, the model's (--model {bench})" in capsys.readouterr().out
    for row in rows(bench):
        assert row["verdict"] == ("copy" if float(row["ratio"]) <= tau else "original")
    settings = json.loads((bench / "matches.search.json").read_text())
    assert settings["tau"] == tau and "the model's" in settings["tau_from"]

    assert search(bench, "--model", bench, "--precision", 90) == DONE
    point = thresholds.point(0.9)
    assert f"tau {point.tau.value:.4g}, the 90 % precision point" in capsys.readouterr().out
    found = rows(bench)
    assert min(float(row["score"]) for row in found) >= point.min_score.value
    copies = [row for row in found if row["verdict"] == "copy"]
    right = [row for row in copies if row["query_id"][1:] == row["reference_id"][1:]]
    assert len(right) / len(copies) == pytest.approx(point.precision.value)
    assert len(right) / 40 == pytest.approx(point.recall.value)

    assert search(bench, "--model", bench, "--tau", 0.5) == DONE
    assert "; tau 0.5, as given" in capsys.readouterr().out


def test_thresholds_of_other_norms_are_not_used(bench, capsys):
    search(bench)
    fit(bench, "--out", f"{bench}/mine.json")
    mine = read_thresholds(bench / "mine.json")
    search(bench, "--thresholds", f"{bench}/mine.json")
    assert f"tau {mine.tau.value:.4g}, of {bench}/mine.json" in capsys.readouterr().out
    write_thresholds(bench / "other.json", mine.__class__(**{**vars(mine), "fingerprint": "f" * 16}))
    search(bench, "--thresholds", f"{bench}/other.json")
    assert "tau 1, the paper's: the norms of" in capsys.readouterr().out
    assert search(bench, "--thresholds", f"{bench}/other.json", "--precision", 90) == USER_ERROR
    assert "--precision needs calibrated thresholds: the norms of" in capsys.readouterr().err
    # norms of nobody known: the model's thresholds are not theirs, unless a file is named for them
    np.save(bench / "norms.npy", np.ones(NUMBER))
    (bench / "thresholds.json").write_bytes((bench / "mine.json").read_bytes())
    norms = ["--norms", f"{bench}/norms.npy", f"{bench}/norms.npy"]
    search(bench, "--model", bench, *norms)
    assert "tau 1, the paper's: whose norms" in capsys.readouterr().out
    search(bench, "--thresholds", f"{bench}/mine.json", *norms)
    assert f"tau {mine.tau.value:.4g}, of" in capsys.readouterr().out
    # another file's norms, whose model is known
    search(bench, "--model", bench, "--norms", f"{bench}/refs.npy", f"{bench}/queries.npy")
    assert f"tau {mine.tau.value:.4g}, the model's" in capsys.readouterr().out


def test_an_index_of_the_models_rows_takes_its_tau_and_one_of_other_norms_does_not(bench, capsys):
    search(bench)
    fit(bench, "--model", bench)
    main(["index", "build", f"{bench}/refs.index", f"{bench}/refs.npy"])
    capsys.readouterr()
    search(bench, "--model", bench, "--refs", f"{bench}/refs.index")
    assert "the model's (--model" in capsys.readouterr().out
    rows = Embeddings(
        ids=[f"r{row}" for row in range(NUMBER)],
        row_ND=np.load(bench / "refs.npy"),
        norm_N=np.ones(NUMBER),
        fingerprint=load_descriptor(bench).fingerprint,
    )
    write_embeddings(bench / "scaled.npz", rows)
    main(["index", "build", f"{bench}/scaled.index", f"{bench}/scaled.npz"])
    capsys.readouterr()
    search(bench, "--model", bench, "--refs", f"{bench}/scaled.index")
    assert "the paper's: whose norms" in capsys.readouterr().out


def test_other_weights_take_their_thresholds_away(bench):
    search(bench)
    fit(bench, "--model", bench)
    loaded = load_descriptor(bench)
    assert loaded.thresholds == read_thresholds(bench / "thresholds.json")
    save_descriptor(bench, loaded.module, loaded.config)
    assert (bench / "thresholds.json").exists()
    loaded.module.neck.running_var[0] += 1
    save_descriptor(bench, loaded.module, loaded.config)
    assert load_descriptor(bench).thresholds is None


def test_old_model_folders_with_thresholds_in_their_config_load(bench):
    config = json.loads((bench / "config.json").read_text())
    (bench / "config.json").write_text(json.dumps({**config, "tau": 1.1, "min_score": 0.2}))
    assert load_descriptor(bench).config == DescriptorConfig(backbone="test_resnet", edge_px=64)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--precision", "100"], "--precision must be percents between 0 and 100, got 100"),
        (["--resamples", "1"], "--resamples must be at least 2, got 1"),
        (["--model", "default/none"], "is no model folder"),
        (["--model", "default"], "--model default is"),
        (["--out", "{folder}"], "is a folder; name a file in it"),
        (["--queries", "{folder}/truth.csv", "--out", "{folder}/x"], "has no column kind; kinds are rows of"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_writes_nothing(bench, capsys, more, complaint):
    search(bench)
    capsys.readouterr()
    before = sorted(bench.iterdir())
    assert fit(bench, *(word.format(folder=bench) for word in more)) == USER_ERROR
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert sorted(bench.iterdir()) == before


def test_matches_that_hide_what_tau_is_for_are_refused(bench, capsys):
    search(bench, "--direction", "copy")
    assert fit(bench, "--out", f"{bench}/x.json") == USER_ERROR
    assert "was searched with --direction copy" in capsys.readouterr().err
    search(bench)
    with open(bench / "matches.csv", "a") as file:
        file.write("q0,r99,0.1,1,1,1,copy\n")
    assert fit(bench, "--out", f"{bench}/x.json") == USER_ERROR
    assert "has 601 rows, but the .search.json beside it is of 600" in capsys.readouterr().err
    (bench / "matches.search.json").write_text("[]")
    assert fit(bench, "--out", f"{bench}/x.json") == USER_ERROR
    assert "is not what asl-fast search writes" in capsys.readouterr().err


def test_precision_goes_without_tau_and_min_score(bench, capsys):
    assert search(bench, "--precision", 90, "--tau", 1) == USER_ERROR
    assert "--precision gives --tau and --min-score" in capsys.readouterr().err
    assert search(bench, "--thresholds", f"{bench}/none.json") == USER_ERROR
    assert "there is no such file" in capsys.readouterr().err

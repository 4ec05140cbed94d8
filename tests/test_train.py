"""The command from outside: files, exit status, the closing line."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from asl_fast import train
from asl_fast.errors import DONE, PARTIAL, USER_ERROR
from asl_fast.models import Descriptor, DescriptorConfig, save_descriptor


def draw_photo(seed):
    """Coarse coloured patches, other ones for another seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((84, 60))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    (folder / "photos").mkdir()
    for seed in range(14):
        draw_photo(seed).save(folder / f"photos/photo{seed:02d}.png")
    config = DescriptorConfig(backbone="test_resnet", edge_px=32, resize_mode="square", num_dims=16)
    torch.manual_seed(0)
    save_descriptor(folder / "start", Descriptor(config), config)
    return folder


def arguments(workplace, out, *more):
    where = ["--images", str(workplace / "photos"), "--out", str(out), "--model", str(workplace / "start")]
    return [*where, "--recipe", "quick", "--threads", "1", *more]


def test_command_trains_a_model_that_load_model_takes(workplace, tmp_path, capsys):
    from asl_fast import load_model

    out = tmp_path / "one"
    assert train.main(arguments(workplace, out, "--steps", "3", "--limit", "10")) == DONE
    printed = capsys.readouterr().out
    assert printed.startswith("train: 3 steps on 6 photos") and "4 held back: uAP 0." in printed
    assert printed.count("\n") == 1 and str(out / "model") in printed
    row = load_model(out / "model").embed([draw_photo(3)])
    assert row.shape == (1, 16)


def test_broken_photo_is_told_and_the_status_is_partial(workplace, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(10):
        draw_photo(seed).save(photos / f"{seed}.png")
    (photos / "cut.png").write_bytes((photos / "3.png").read_bytes()[:200])
    given = arguments(workplace, tmp_path / "one", "--steps", "2")
    given[1] = str(photos)
    assert train.main(given) == PARTIAL
    assert "1 photos failed" in capsys.readouterr().out
    failures = (tmp_path / "one/failures.csv").read_text().splitlines()
    assert len(failures) == 2 and "cut.png" in failures[1]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--save-every", "0"], "--save-every must be at least 1, got 0"),
        (["--workers", "-1"], "--workers must be at least 0, got -1"),
        (["--lr", "nan"], "--lr must be above 0, got nan"),
        (["--seed", "-1"], "--seed must not be negative, got -1"),
        (["--limit", "5"], "5 photos in 5 groups can't be split"),
        (["--device", "tpu"], "--device tpu: must be cpu or cuda"),
    ],
)
def test_wrong_argument_is_one_line_and_status_two(workplace, tmp_path, capsys, more, complaint):
    assert train.main(arguments(workplace, tmp_path / "one", *more)) == USER_ERROR
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("asl-fast train: error: ") and complaint in said


def test_other_options_in_the_same_folder_are_refused(workplace, tmp_path, capsys):
    assert train.main(arguments(workplace, tmp_path / "one", "--steps", "2")) == DONE
    assert train.main(arguments(workplace, tmp_path / "one", "--steps", "3")) == USER_ERROR
    assert "holds a run with num_steps = 2, this one has 3" in capsys.readouterr().err


@pytest.fixture(scope="module")
def pair_table(workplace):
    photos = [f"photos/photo{number:02d}.png" for number in range(14)]
    lines = [f"{a},{b},a_over_b" for a, b in zip(photos[::2], photos[1::2], strict=True)]
    (workplace / "pairs.csv").write_text("\n".join(["file_a,file_b,direction", *lines]) + "\n")
    return workplace / "pairs.csv"


def test_pairs_are_trained_on_and_their_ratio_is_told_both_ways(workplace, pair_table, tmp_path, capsys):
    more = ["--steps", "2", "--pairs", str(pair_table), "--pair-classes", "own", "--pair-term", "random"]
    assert train.main(arguments(workplace, tmp_path / "one", *more, "--workers", "0")) == DONE
    printed = capsys.readouterr().out
    assert "hard-negative pairs trained on" in printed and printed.count("\n") == 1
    assert " the mean ratio is " in printed and ", the other way " in printed
    told = json.loads((tmp_path / "one/config.json").read_text())
    assert told["pairs"]["classes"] == "own" and told["pairs"]["term"] == "random"
    assert told["num_pairs"] == 7 and told["num_images"] == 14


def test_folder_of_ndec_pairs_gives_further_photos(workplace, tmp_path, capsys):
    for number in range(4):
        folder = tmp_path / f"negative_pair/{number}"
        folder.mkdir(parents=True)
        draw_photo(100 + number).save(folder / f"T{number:06d}.jpg")
        draw_photo(200 + number).save(folder / "0f3a.jpg")
    more = ["--steps", "2", "--pairs", str(tmp_path), "--ndec-order", "t-over-other", "--workers", "0"]
    assert train.main(arguments(workplace, tmp_path / "one", *more)) == DONE
    printed = capsys.readouterr().out
    assert "on 16 photos" in printed and "4 held back" in printed  # 14 - 4 of the folder's, 8 less a pair's
    assert "3 hard-negative pairs trained on; of 1 held back the mean ratio" in printed


def test_other_pairs_in_the_same_folder_are_refused(workplace, pair_table, tmp_path, capsys):
    out = tmp_path / "one"
    assert train.main(arguments(workplace, out, "--steps", "2", "--workers", "0")) == DONE
    more = ["--steps", "2", "--pairs", str(pair_table)]
    assert train.main(arguments(workplace, out, *more)) == USER_ERROR
    assert "holds a run with num_pairs = 0, this one has 7" in capsys.readouterr().err


def test_wrong_pair_is_one_line_with_its_place(workplace, tmp_path, capsys):
    table = workplace / "wrong.csv"
    table.write_text("a,b\nphotos/photo00.png,photos/photo99.png\n")
    assert train.main(arguments(workplace, tmp_path / "one", "--pairs", str(table))) == USER_ERROR
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("asl-fast train: error: --pairs ") and "line 2: there is no file" in said
    assert not (tmp_path / "one").exists()


def test_input_that_is_not_installed_is_one_line(workplace, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "asl_fast.views.dali", None)
    assert train.main(arguments(workplace, tmp_path / "one", "--input", "dali")) == USER_ERROR
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("asl-fast train: error: --input dali: ")
    assert not (tmp_path / "one").exists()

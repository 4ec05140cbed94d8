"""The edits command: from a folder of photos to one page."""

import re

import numpy as np
import pytest
from PIL import Image

from asl_fast import edit_sheet
from asl_fast.edits import KINDS
from asl_fast.errors import DONE, PARTIAL, USER_ERROR


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        patches = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((84, 60)).save(folder / f"<b>{seed}.png")
    return folder


def draw(photos, out, *more):
    return edit_sheet.main(["--images", str(photos), "--out", str(out), *more])


def test_sheet_shows_photo_copy_and_trace_of_every_row(photos, tmp_path, capsys):
    out = tmp_path / "sheet.html"
    assert draw(photos, out, "--number", "7", "--recipe", "bot") == DONE
    assert capsys.readouterr().out == f"edits: 7 copies of 3 photos -> {out}\n"
    page = out.read_text()
    assert page.count("data:image/jpeg;base64,") == 3 * 7 and page.count("<code>Crop(") == 7
    assert "&lt;b&gt;0" in page and "<b>" not in page
    assert not re.search(r'src="(?!data:)', page)


def test_sheet_of_each_kind_has_them_all(photos, tmp_path):
    out = tmp_path / "sheet.html"
    assert draw(photos, out, "--recipe", "each") == DONE
    assert re.findall(r"<code>(\w+)\(", out.read_text()) == list(KINDS)


def test_same_seed_draws_the_same_sheet(photos, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert draw(photos, tmp_path / name, "--seed", seed, "--number", "4") == DONE
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b and a != c


def test_broken_photo_is_told_and_left_out(photos, tmp_path, capsys):
    (photos / "0.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert draw(photos, tmp_path / "sheet.html", "--number", "4") == PARTIAL
    assert "of 3 photos" in (said := capsys.readouterr().out) and "1 pictures failed, the first 0: " in said


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--strength", "1.5"], "--strength must be from 0 to 1, got 1.5"),
        (["--strength", "nan"], "--strength must be from 0 to 1, got nan"),
        (["--number", "0"], "--number must be from 1 to 10000, got 0"),
        (["--edge", "9999"], "--edge must be from 1 to 4096, got 9999"),
        (["--seed", "-1"], "--seed must be from 0 to"),
    ],
)
def test_wrong_argument_is_one_line_and_status_two(photos, tmp_path, capsys, more, complaint):
    assert draw(photos, tmp_path / "sheet.html", *more) == USER_ERROR
    said = capsys.readouterr().err
    assert said.startswith("asl-fast edits: error: ") and complaint in said and said.count("\n") == 1
    assert not (tmp_path / "sheet.html").exists()


def test_folder_of_nothing_but_broken_photos_is_refused(tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert draw(tmp_path, tmp_path / "sheet.html") == USER_ERROR
    assert "none of its 1 pictures can be read" in capsys.readouterr().err

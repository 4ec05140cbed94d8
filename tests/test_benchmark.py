"""asl-fast benchmark make: what it writes is whole, consistent and repeatable."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asl_fast import benchmark, reports
from asl_fast.challenge import FAMILIES, bank_named
from asl_fast.edits import Chain
from asl_fast.errors import DONE, PARTIAL, USER_ERROR

SMALL = ("--copies-per-family", "2", "--reversed", "5", "--look-alikes", "6", "--easy", "7")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """64 smooth pictures, in 16 groups of two and 32 of one; manifest.csv tells which."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    lines = ["file,group"]
    for number in range(64):
        coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
        size = (120 + number, 100) if number % 3 else (90, 130)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"p{number:02d}.png")
        lines.append(f"p{number:02d}.png,{number // 2 if number < 32 else number}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def told(photos, out, edits="own"):
    manifest = str(photos / "manifest.csv")
    return ["make", "--images", str(photos), "--out", str(out), "--edits", edits, "--groups", manifest]


def make(photos, out, *more, edits="own"):
    return benchmark.main([*told(photos, out, edits), *SMALL, *more])


@pytest.fixture(scope="module")
def made(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "bench"
    assert make(photos, out) == DONE
    return out


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_truth_is_read_by_evaluate_and_agrees_with_the_tables(made):
    truth = reports.read_truth(made / "truth.csv")
    queries, references = rows(made / "queries.csv"), rows(made / "references.csv")
    kind_of = {row["query_id"]: row["kind"] for row in queries}
    assert {query for query, kind in kind_of.items() if kind == "copy"} == truth.matched_queries
    assert truth.distractors == kind_of.keys() - truth.matched_queries
    photo_of = {row["reference_id"]: row["photo"] for row in references}
    match_of = dict(truth.pairs)
    for row in queries:
        assert row["match"] == match_of.get(row["query_id"], "")
        if row["match"]:
            assert row["photo"] == photo_of[row["match"]]
    counts = json.loads((made / "benchmark.json").read_text())["counts"]
    assert {kind: list(kind_of.values()).count(kind) for kind in set(kind_of.values())} == {
        "copy": counts["copy"], "reversed": 5, "look-alike": 6, "easy": 7
    }  # fmt: skip
    assert counts["copy"] == 22


def test_every_picture_of_the_tables_is_there_and_no_other(made):
    for name, key in (("queries", "query_id"), ("references", "reference_id")):
        told = {f"{row[key]}.jpg" for row in rows(made / f"{name}.csv")}
        assert told == {path.name for path in (made / name).iterdir()}


def test_a_photo_without_match_is_no_reference(made):
    whole = {row["photo"] for row in rows(made / "references.csv") if row["kind"] != "crop"}
    cropped = {row["photo"] for row in rows(made / "references.csv") if row["kind"] == "crop"}
    assert not whole & cropped
    for row in rows(made / "queries.csv"):
        assert (row["photo"] in whole) == (row["kind"] == "copy")
        assert (row["photo"] in cropped) == (row["kind"] == "reversed")


def test_easy_queries_have_no_kin_among_references_and_look_alikes_have(made, photos):
    group = {row["file"]: row["group"] for row in rows(photos / "manifest.csv")}
    references = rows(made / "references.csv")
    groups = {group[row["photo"]] for row in references}
    photo_of = {row["reference_id"]: row["photo"] for row in references}
    for row in rows(made / "queries.csv"):
        if row["kind"] == "easy":
            assert group[row["photo"]] not in groups and not row["looks_like"]
        if row["kind"] == "look-alike":
            assert group[row["photo"]] == group[photo_of[row["looks_like"]]]
            assert row["photo"] != photo_of[row["looks_like"]]


def picture(path, size=None):
    with Image.open(path) as image:
        return np.asarray(image if size is None else image.resize(size), dtype=float)


def test_a_reversed_query_shows_its_reference_and_more(made, photos):
    references = {row["reference_id"]: row for row in rows(made / "references.csv")}
    seen = []
    for row in rows(made / "queries.csv"):
        if row["kind"] != "reversed":
            continue
        crop = references[row["looks_like"]]
        left, top, width, height = (float(crop[edge]) for edge in ("left", "top", "width", "height"))
        assert 0.28 < width * height < 0.62
        reference = picture(made / "references" / f"{row['looks_like']}.jpg")
        with Image.open(photos / row["photo"]) as photo:
            whole = picture(made / "queries" / f"{row['query_id']}.jpg", photo.size)
        x, y = round(left * whole.shape[1]), round(top * whole.shape[0])
        part = whole[y : y + reference.shape[0], x : x + reference.shape[1]]
        assert abs(reference.shape[1] - width * whole.shape[1]) <= 1
        assert abs(reference.shape[0] - height * whole.shape[0]) <= 1
        alike = np.corrcoef(part.ravel(), reference.ravel())[0, 1]
        assert alike > (0.99 if row["strength"] == "plain" else 0.95)
        if row["chain"]:
            assert Chain.from_json(row["chain"]).trace(photo.size).content > 0.999
        seen.append(row["strength"])
    assert sorted(set(seen)) == ["light", "plain"]


def test_a_copy_is_what_its_chain_makes_of_its_photo(made, photos):
    own = bank_named("own")
    copies = [row for row in rows(made / "queries.csv") if row["kind"] == "copy"]
    easy = [photos / row["photo"] for row in rows(made / "queries.csv") if row["kind"] == "easy"]
    for row in copies:
        if "other" in row["chain"]:
            continue  # which of the easy photos is its background stands in no table
        photo = np.asarray(Image.open(photos / row["photo"]))
        drawn = own.apply(row["chain"], photo, easy)
        assert np.abs(picture(made / "queries" / f"{row['query_id']}.jpg") - drawn).mean() < 6
    assert {row["family"] for row in copies} == set(FAMILIES)


def test_the_page_shows_every_kind_family_and_strength_without_links(made):
    page = (made / "index.html").read_text()
    queries = rows(made / "queries.csv")
    for family, strength in {(row["family"], row["strength"]) for row in queries}:
        assert f"<span>{family}, {strength}</span>" in page
    assert 'src="data:image/jpeg' in page and not re.search(r'src="(?!data:)', page)


def test_pairs_tell_what_looks_alike(photos, tmp_path):
    (tmp_path / "pairs.csv").write_text(f"a,b,label\n{photos}/p40.png,{photos}/p50.png,not_copy\n")
    more = ("--pairs", str(tmp_path / "pairs.csv"), "--look-alikes", "1")
    assert make(photos, tmp_path / "out", *more) == DONE
    (query,) = [row for row in rows(tmp_path / "out" / "queries.csv") if row["kind"] == "look-alike"]
    photo_of = {row["reference_id"]: row["photo"] for row in rows(tmp_path / "out" / "references.csv")}
    assert {query["photo"], photo_of[query["looks_like"]]} == {"p40.png", "p50.png"}


def test_augly_makes_one_too_the_same_each_time(photos, tmp_path):
    pytest.importorskip("augly")
    for name in ("a", "b"):
        assert make(photos, tmp_path / name, "--copies-per-family", "3", edits="augly") == DONE
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_killed_run_leaves_nothing_under_its_name_and_the_next_makes_all_of_it(made, photos, tmp_path):
    code = (
        "import os, signal, sys\nfrom asl_fast import benchmark\nfrom asl_fast.challenge import Drawing\n"
        "query, calls = Drawing.query, []\n"
        "def killing(self, told):\n"
        "    calls.append(told)\n"
        "    if len(calls) > 9: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return query(self, told)\n"
        "Drawing.query = killing\nbenchmark.main(sys.argv[1:])\n"
    )
    arguments = [*told(photos, tmp_path / "out"), *SMALL]
    assert subprocess.run([sys.executable, "-c", code, *arguments]).returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial"]
    assert make(photos, tmp_path / "out") == DONE
    assert contents(tmp_path / "out") == contents(made)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(made, photos, tmp_path):
    assert make(photos, tmp_path / "again") == DONE
    assert contents(tmp_path / "again") == contents(made)
    assert make(photos, tmp_path / "other", "--seed", "1") == DONE
    assert contents(tmp_path / "other") != contents(made)


def test_a_photo_that_can_not_be_used_is_reported_and_skipped(photos, tmp_path):
    more = tmp_path / "more"
    shutil.copytree(photos, more)
    (more / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    shutil.copy(more / "p03.png", more / "twin.png")
    Image.new("RGB", (30, 300)).save(more / "narrow.png")
    assert make(more, tmp_path / "out") == PARTIAL
    assert {row["photo"] for row in rows(tmp_path / "out" / "skipped.csv")} == {
        "bad.jpg",
        "twin.png",
        "narrow.png",
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--easy", "400"], "no more than"),
        (["--look-alikes", "40"], "no more than 16"),
        (["--references", "2"], "at least"),
        (["--easy", "0"], "from 1"),
        (["--copies-per-family", "0"], "from 1"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_leaves_nothing(photos, tmp_path, capsys, more, said):
    assert make(photos, tmp_path / "out", *more) == USER_ERROR
    errors = capsys.readouterr().err
    assert said in errors and errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_as_it_is(photos, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert make(photos, tmp_path / "out") == USER_ERROR
    assert "is there already" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []

"""Folders in the shape of DISC21 and NDEC, of generated pictures, through every command that measures."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from asl_fast.cli import main
from asl_fast.errors import DONE

EDGE = 64


def picture(generator):
    """A few coloured waves: every picture is unlike the others, and a JPEG of a few hundred bytes."""
    y_HW, x_HW = np.mgrid[:EDGE, :EDGE] / EDGE
    pixels_HWC = np.zeros((EDGE, EDGE, 3))
    for _ in range(4):
        wave_HW = np.sin(2 * np.pi * (generator.normal(0, 3) * x_HW + generator.normal(0, 3) * y_HW))
        pixels_HWC += wave_HW[..., None] * generator.normal(0, 60, 3)
    return Image.fromarray(np.clip(pixels_HWC + generator.uniform(60, 190, 3), 0, 255).astype(np.uint8))


def save(image, path, quality=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=quality)


def make_challenge(folder, num_refs, num_copies, num_others, *, queries, refs, first_query):
    """References R000000..., queries of which the first are recompressed copies. Returns the truth's rows."""
    generator = np.random.default_rng(5)
    truth = []
    for row in range(num_refs):
        image = picture(generator)
        save(image, folder / refs / f"R{row:06d}.jpg")
        if row < num_copies:
            query = f"Q{first_query + row:05d}"
            save(image.crop((2, 2, EDGE - 2, EDGE - 2)), folder / queries / f"{query}.jpg", quality=40)
            truth.append((query, f"R{row:06d}"))
    for row in range(num_others):
        query = f"Q{first_query + num_copies + row:05d}"
        save(picture(generator), folder / queries / f"{query}.jpg")
        truth.append((query, ""))
    return truth


def make_disc21(folder, num_refs, num_copies, num_others):
    """dev II, its truth without a header, ended by CRLF, with a query of part I besides."""
    truth = make_challenge(
        folder, num_refs, num_copies, num_others, queries="query_images", refs="reference_images",
        first_query=25_000,
    )  # fmt: skip
    lines = ["Q00003,R000001", *(",".join(row) for row in truth)]
    (folder / "dev_ground_truth.csv").write_bytes("\r\n".join(lines).encode())
    return folder / "query_images", folder / "reference_images", folder / "dev_ground_truth.csv"


def make_ndec(folder, num_refs, num_copies, num_others):
    """A header, LF, an empty reference where there is no match."""
    truth = make_challenge(
        folder,
        num_refs,
        num_copies,
        num_others,
        queries="query_images_h5",
        refs="references",
        first_query=100,
    )
    with open(folder / "public_ground_truth_h5.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("query_id", "reference_id"), *truth])
    return folder / "query_images_h5", folder / "references", folder / "public_ground_truth_h5.csv"


def run(*words):
    assert main([str(word) for word in words]) == DONE


def report_of(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("make", [make_disc21, make_ndec])
@pytest.mark.parametrize("sizes", [(20, 8, 6), pytest.param((2000, 700, 800), marks=pytest.mark.slow)])
def test_pictures_descriptors_and_predictions_of_one_benchmark_give_one_answer(tmp_path, make, sizes):
    queries, refs, truth = make(tmp_path, *sizes)
    num_refs, num_copies, num_others = sizes
    name = "disc21-dev2" if make is make_disc21 else "ndec"
    benchmark = ("--benchmark", name, "--bootstrap", "0", "--tau", "1")
    run("embed", "--images", refs, "--out", tmp_path / "r.h5")
    run("embed", "--images", queries, "--out", tmp_path / "q.h5")
    run("index", "build", tmp_path / "r.index", tmp_path / "r.h5")
    cap = min(500_000, num_refs * (num_copies + num_others))
    run("search", "--refs", tmp_path / "r.index", "--queries", tmp_path / "q.h5", "--best-pairs", cap,
        "--tau", "1", "--out", tmp_path / "m.csv")  # fmt: skip
    run("evaluate", "--matches", tmp_path / "m.csv", "--truth", truth, *benchmark)
    run("evaluate", "--refs", tmp_path / "r.h5", "--queries", tmp_path / "q.h5", "--truth", truth, *benchmark,
        "--out", tmp_path / "d.json", "--curve", tmp_path / "d.png")  # fmt: skip
    of_matches, of_rows = report_of(tmp_path / "m.evaluation.json"), report_of(tmp_path / "d.json")
    assert of_rows == of_matches
    assert (of_rows["n"], of_rows["num_distractors"]) == (num_copies, num_others)
    assert of_rows["similarity"]["num_predictions"] == cap
    assert of_rows["similarity"]["recall_at_1"] > 0.5
    if num_refs < 100:  # embedding again takes its time
        run("evaluate", "--refs", refs, "--queries", queries, "--truth", truth, *benchmark,
            "--out", tmp_path / "p.json", "--curve", tmp_path / "p.png",
            "--report", tmp_path / "p.html")  # fmt: skip
        of_pictures = report_of(tmp_path / "p.json")
        assert {name: of_pictures[name] for name in of_rows} == of_rows
        assert (tmp_path / "p.html").read_text().count("data:image/jpeg") >= 2  # at least one pair


def test_picture_that_fails_is_told_of_by_status_and_words(tmp_path, capsys):
    queries, refs, truth = make_ndec(tmp_path, 3, 2, 1)
    (queries / "Q00102.jpg").write_bytes(b"no picture")
    flags = ["--refs", refs, "--queries", queries, "--truth", truth, "--out", tmp_path / "e.json"]
    assert main(["evaluate", *map(str, flags), "--curve", str(tmp_path / "e.png")]) == 3
    assert "1 pictures failed, see failures.csv" in capsys.readouterr().out
    assert "Q00102" in (tmp_path / "failures.csv").read_text()

"""`asl-fast index`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from asl_fast import cli
from asl_fast.embeddings import read_embeddings, write_embeddings
from asl_fast.models import Descriptor, DescriptorConfig, save_descriptor
from asl_fast.records import Embeddings

FINGERPRINT = "f" * 64


@pytest.fixture
def refs() -> Embeddings:
    rng = np.random.default_rng(0)
    return Embeddings(
        ids=[f"ref-{row}" for row in range(50)],
        row_ND=rng.standard_normal((50, 8)).astype(np.float32),
        path_N=[f"photos/{row}.jpg" for row in range(50)],
        fingerprint=FINGERPRINT,
        name="refs",
    )


def part(refs: Embeddings, first: int, stop: int) -> Embeddings:
    rows = slice(first, stop)
    return Embeddings(
        ids=refs.ids[rows], row_ND=refs.row_ND[rows].copy(), path_N=refs.path_N[rows], fingerprint=FINGERPRINT
    )


def asl_fast(*words: object) -> int:
    return cli.main([str(word) for word in words])


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


@pytest.fixture
def index(tmp_path: Path, refs: Embeddings, capsys: pytest.CaptureFixture[str]) -> Path:
    """Built of two files, one more added."""
    for number, (first, stop, suffix) in enumerate([(0, 20, ".npy"), (20, 30, ".h5"), (30, 50, ".parquet")]):
        write_embeddings(tmp_path / f"part{number}{suffix}", part(refs, first, stop))
    folder = tmp_path / "refs.index"
    assert asl_fast("index", "build", folder, tmp_path / "part0.npy", tmp_path / "part1.h5") == 0
    assert "holds 30 x 8 in 2 shards" in last_line(capsys)
    assert asl_fast("index", "add", folder, tmp_path / "part2.parquet") == 0
    assert "20 rows added" in last_line(capsys)
    return folder


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".parquet"])
def test_what_is_exported_is_what_was_added_in_every_format(
    index: Path, refs: Embeddings, suffix: str, tmp_path: Path
) -> None:
    out = tmp_path / f"out{suffix}"
    assert asl_fast("index", "export", index, "--out", out) == 0
    back = read_embeddings(out)
    assert list(back.ids) == list(refs.ids) and back.fingerprint == FINGERPRINT
    assert list(back.path_N or ()) == list(refs.path_N or ())
    np.testing.assert_array_equal(back.row_ND, refs.row_ND)
    assert not list(tmp_path.glob("tmp*"))


def test_remove_compact_and_info_tell_what_there_is(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = index.parent / "ids.txt"
    ids.write_text("ref-1\r\nref-2\r\n")
    assert asl_fast("index", "remove", index, "ref-0", "--ids-file", ids) == 0
    assert "3 rows removed" in last_line(capsys)
    assert asl_fast("index", "info", index, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["tombstones"], facts["shards"], facts["dims"]) == (47, 3, 3, 8)
    assert facts["fingerprint"] == FINGERPRINT and 0 < facts["min_norm"] < facts["max_norm"]
    assert facts["bytes"] == sum(path.stat().st_size for path in index.glob("shard-*"))
    assert asl_fast("index", "compact", index) == 0
    assert "3 shards -> 1, 3 removed rows dropped" in last_line(capsys)
    assert asl_fast("index", "compact", index) == 0
    assert "nothing to merge" in last_line(capsys)
    assert asl_fast("index", "info", index) == 0
    assert "rows         47\n" in capsys.readouterr().out


def test_verify_exits_2_with_a_line_for_the_damage_and_repair_mends_it(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asl_fast("index", "verify", index) == 0
    assert "8 files" in (line := last_line(capsys)) and "every byte is as it was written" in line
    shard = index / "shard-00000001.rows"
    data = bytearray(shard.read_bytes())
    data[-70] ^= 4
    shard.write_bytes(data)
    assert asl_fast("index", "verify", index) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("damaged: shard-00000001.rows: section row_norm, block 0 (bytes ")
    assert lines[1].endswith(f"1 damaged places, mend with: asl-fast index repair {index}")
    assert asl_fast("index", "repair", index) == 0
    assert "holds 50 rows; no row is lost" in last_line(capsys)
    assert asl_fast("index", "verify", index) == 0


def test_repair_exits_3_and_lists_the_ids_when_rows_are_lost(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (index / "shard-00000002.rows").unlink()
    lost = index.parent / "lost.csv"
    assert asl_fast("index", "repair", index, "--lost", lost) == 3
    assert "holds 40 rows; 10 rows are lost" in last_line(capsys)
    names = [line.split(",")[0] for line in lost.read_text().splitlines()[1:]]
    assert sorted(names) == [f"ref-{row}" for row in range(20, 30)]


def test_an_id_that_is_there_is_refused_and_replace_swaps_it(
    index: Path, refs: Embeddings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = Embeddings(ids=["ref-7"], row_ND=np.full((1, 8), 3, np.float32), fingerprint=FINGERPRINT)
    write_embeddings(tmp_path / "new.npy", new)
    assert asl_fast("index", "add", index, tmp_path / "new.npy") == 2
    assert "id 'ref-7' of" in (complaint := capsys.readouterr().err) and "--replace" in complaint
    assert asl_fast("index", "add", index, tmp_path / "new.npy", "--replace") == 0
    assert "1 rows added, 1 of them in the place of older ones" in last_line(capsys)
    assert asl_fast("index", "export", index, "--out", tmp_path / "out.npy") == 0
    back = read_embeddings(tmp_path / "out.npy")
    assert list(back.ids) == [name for name in refs.ids if name != "ref-7"] + ["ref-7"]
    np.testing.assert_array_equal(back.row_ND[-1], new.row_ND[0])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["build", "INDEX", "part0.npy"], "is an index of 50 rows already"),
        (["add", "nowhere", "part0.npy"], "nowhere does not exist; `asl-fast index build` makes an index"),
        (["remove", "INDEX"], "no ids were given"),
        (["remove", "INDEX", "who"], "id 'who' is not in"),
        (["export", "INDEX", "--out", "rows.csv"], "--out rows.csv ends in '.csv'"),
        (["compact", "INDEX", "--shard-rows", "0"], "--shard-rows must be from 1"),
        (["verify", "INDEX", "--threads", "0"], "--threads must be at least 1, got 0"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_status_2(
    index: Path,
    words: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(index.parent)
    assert asl_fast("index", *[str(index) if word == "INDEX" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.startswith("asl-fast index: error: ") and error.count("\n") == 1


def test_search_in_an_index_writes_what_search_in_the_file_writes(
    index: Path, refs: Embeddings, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    row_ND = refs.row_ND[:9] * rng.uniform(0.5, 1.5, (9, 1)).astype(np.float32)
    queries = Embeddings(ids=[f"q{row}" for row in range(9)], row_ND=row_ND, fingerprint=FINGERPRINT)
    write_embeddings(tmp_path / "queries.npy", queries)
    write_embeddings(tmp_path / "all.npy", refs)
    asl_fast("index", "remove", index, "ref-3")
    keep = [row for row in range(50) if row != 3]
    left = Embeddings(ids=[refs.ids[row] for row in keep], row_ND=refs.row_ND[keep], fingerprint=FINGERPRINT)
    write_embeddings(tmp_path / "left.npy", left)
    for name, side in (("index.csv", index), ("file.csv", tmp_path / "left.npy")):
        out = tmp_path / name
        assert (
            asl_fast("search", "--refs", side, "--queries", tmp_path / "queries.npy", "--out", out, "--k", 4)
            == 0
        )
    assert (tmp_path / "index.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()


def test_an_index_refuses_pictures_of_another_model_and_rows_of_another_width(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_embeddings(tmp_path / "x.npy", Embeddings(ids=["x"], row_ND=np.ones((1, 5), np.float32)))
    assert asl_fast("index", "add", index, tmp_path / "x.npy") == 2
    assert "has 5 columns but" in capsys.readouterr().err
    other = Embeddings(ids=["x"], row_ND=np.ones((1, 8), np.float32), fingerprint="e" * 64)
    write_embeddings(tmp_path / "y.npy", other)
    assert asl_fast("index", "add", index, tmp_path / "y.npy") == 2
    assert "by model eeeeeeeeeeee but" in capsys.readouterr().err


def test_pictures_are_embedded_and_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(4)
    for number in range(3):
        folder = tmp_path / ("first" if number < 2 else "second")
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"photo{number}.png")
    (tmp_path / "second" / "broken.png").write_bytes(b"no picture")
    torch.manual_seed(0)
    config = DescriptorConfig(backbone="test_resnet", edge_px=64)
    model = tmp_path / "model"
    save_descriptor(model, Descriptor(config), config)
    index = tmp_path / "photos.index"
    words = ["--model", model, "--threads", 1]
    assert asl_fast("index", "build", index, tmp_path / "first", *words) == 0
    assert asl_fast("index", "add", index, tmp_path / "second", "--threads", 1) == 3
    assert "1 pictures failed" in last_line(capsys)
    assert asl_fast("index", "info", index, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 3 and facts["model"] == str(model) and len(facts["fingerprint"]) >= 12
    out = tmp_path / "matches.csv"
    assert asl_fast("index", "export", index, "--out", tmp_path / "queries.npy") == 0
    words = ["--refs", index, "--queries", tmp_path / "queries.npy", "--out", out, "--k", 1, "--threads", 1]
    assert asl_fast("search", *words, "--report", tmp_path / "report.html") == 0
    pairs = [line.split(",")[:2] for line in out.read_text().splitlines()[1:]]
    assert sorted(pairs) == [[f"photo{number}"] * 2 for number in range(3)]


def test_export_to_faiss_serves_search_and_builds_an_index_again(
    index: Path, refs: Embeddings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("faiss")
    assert asl_fast("index", "export", index, "--faiss", "Flat", "--out", tmp_path / "out.faiss") == 0
    assert "50 x 8" in last_line(capsys)
    queries = part(refs, 5, 15)
    write_embeddings(tmp_path / "q.npy", queries)
    for engine in ("exact", f"faiss:{tmp_path / 'out.faiss'}"):
        out = tmp_path / f"{len(engine)}.csv"
        assert (
            asl_fast(
                "search", "--refs", index, "--queries", tmp_path / "q.npy", "--engine", engine, "--out", out
            )
            == 0
        )
    assert "recall 1.0000" in last_line(capsys)
    assert (tmp_path / "5.csv").read_text() == out.read_text()

    assert asl_fast("index", "build", tmp_path / "again.index", tmp_path / "out.faiss") == 0
    assert asl_fast("index", "export", tmp_path / "again.index", "--out", tmp_path / "again.npz") == 0
    again = read_embeddings(tmp_path / "again.npz")
    row_of = {identity: row for row, identity in enumerate(again.ids)}
    rows = [row_of[identity] for identity in refs.ids]
    np.testing.assert_array_equal(again.norm_N[rows], refs.norm_N)
    np.testing.assert_allclose(again.row_ND[rows], refs.row_ND, rtol=1e-6)
    assert again.fingerprint == FINGERPRINT


def test_rows_of_codes_and_of_foreign_files_come_in_when_it_is_said_how(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faiss = pytest.importorskip("faiss")
    assert asl_fast("index", "export", index, "--faiss", "SQ8", "--out", tmp_path / "sq.faiss") == 0
    assert asl_fast("index", "build", tmp_path / "a.index", tmp_path / "sq.faiss") == 2
    assert "holds codes" in capsys.readouterr().err
    assert asl_fast("index", "build", tmp_path / "a.index", tmp_path / "sq.faiss", "--lossy") == 0
    foreign = faiss.IndexFlatL2(8)
    foreign.add(np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32))
    faiss.write_index(foreign, str(tmp_path / "f.faiss"))
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    words = (tmp_path / "b.index", tmp_path / "f.faiss", "--faiss-ids", tmp_path / "ids.txt")
    assert asl_fast("index", "build", *words) == 0
    assert asl_fast("index", "export", tmp_path / "b.index", "--out", tmp_path / "b.npy") == 0
    assert read_embeddings(tmp_path / "b.npy").ids == ["a", "b", "c"]
    assert asl_fast("index", "export", index, "--faiss", "Flat", "--out", tmp_path / "x.npy") == 2
    assert "must end in .faiss" in capsys.readouterr().err

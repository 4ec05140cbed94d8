"""Batches for embedding by DALI beside `load_batches`: same files and failures, nearly the same pixels."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asl_fast import embed
from asl_fast.embedder import load_model
from asl_fast.embeddings import read_embeddings
from asl_fast.images import VIEW_SETS, Framing, Resize, find_images, load_batches

pytest.importorskip("nvidia.dali", reason="DALI is not installed: pip install 'asl-fast[dali]'")
from asl_fast.views.dali import DaliLoader

EXAMPLES = Path(__file__).parents[2] / "examples" / "references"


def framing(edge_px, mode="square"):
    return Framing(resizes=(Resize(edge_px=edge_px, mode=mode),))


def apart(one, other):
    """Mean difference of the pixels of two batches."""
    return abs(np.array(one.frames_B).astype(int) - np.array(other.frames_B)).mean()


@pytest.fixture(scope="module")
def files():
    return find_images(EXAMPLES)[:20]


@pytest.fixture
def mixed(tmp_path):
    """Ten files, of which 2, 3 and 7 are broken or missing; 5 is no JPEG."""
    photos = [file.read() for file in find_images(EXAMPLES)[:10]]
    photos[2], photos[3] = b"no photo", photos[3][:3000]
    for number, data in enumerate(photos):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8))
    picture.save(tmp_path / "5.jpg", "PNG")
    files = find_images(tmp_path)
    (tmp_path / "7.jpg").unlink()
    return files


@pytest.mark.parametrize("mode", ["square", "short-center"])
def test_batches_are_those_of_the_cpu(files, mode):
    how = {"batch_size": 8, "num_threads": 2}
    small, large = framing(64, mode), framing(160, mode)
    ours, theirs = list(DaliLoader("cpu")(files, small, **how)), list(load_batches(files, small, **how))
    assert [batch.first for batch in ours] == [0, 8, 16]
    for one, other in zip(ours, theirs, strict=True):
        assert one.file_B == other.file_B and one.failures == other.failures == []
        assert apart(one, other) < 1.5  # the CPU decodes at half the size: twice the edge is enough
    ours, theirs = next(DaliLoader("cpu")(files, large, **how)), next(load_batches(files, large, **how))
    assert apart(ours, theirs) < 0.3


def test_failures_are_those_of_the_cpu(mixed):
    how = {"batch_size": 4, "num_threads": 2}
    ours, theirs = (
        list(DaliLoader("cpu")(mixed, framing(48), **how)),
        list(load_batches(mixed, framing(48), **how)),
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.file_B == other.file_B and one.failures == other.failures
    assert [failure.id for batch in ours for failure in batch.failures] == ["2", "3", "7"]


def test_a_batch_of_failures_alone_is_empty(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"no photo")
    (batch,) = DaliLoader("cpu")(find_images(tmp_path), framing(8), batch_size=4, num_threads=1)
    assert batch.frames_B == [] and len(batch.failures) == 3


def test_a_start_gives_the_batches_that_are_left(files):
    loader = DaliLoader("cpu")
    rest = list(loader(files, framing(16), batch_size=8, num_threads=1, start=16))
    assert [batch.first for batch in rest] == [16] and rest[0].file_B == files[16:]
    assert list(loader(files, framing(16), batch_size=8, num_threads=1, start=20)) == []


def test_closing_stops_the_threads(files):
    before = threading.active_count()
    batches = DaliLoader("cpu")(files, framing(16), batch_size=2, num_threads=2)
    next(batches)
    batches.close()
    assert threading.active_count() <= before


def test_a_mode_of_many_sizes_is_refused(files):
    with pytest.raises(ValueError, match='must be "square" or "short-center"'):
        DaliLoader("cpu")(files, framing(16, "short"), batch_size=2, num_threads=1)


@pytest.mark.parametrize(
    "many",
    [
        Framing(resizes=(Resize(edge_px=16), Resize(edge_px=24))),
        Framing(resizes=(Resize(edge_px=16),), views=VIEW_SETS["turns"]),
    ],
)
def test_several_frames_a_picture_are_refused(files, many):
    with pytest.raises(ValueError, match="must be whole and of one size"):
        DaliLoader("cpu")(files, many, batch_size=2, num_threads=1)


def test_rows_of_the_shipped_model_are_nearly_those_of_the_cpu(files):
    ours, _ = load_model(loader=DaliLoader("cpu")).embed_files(files, num_threads=2)
    theirs, _ = load_model().embed_files(files, num_threads=2)
    norm_N, other_N = (np.linalg.norm(one.row_ND, axis=1) for one in (ours, theirs))
    assert ((ours.row_ND * theirs.row_ND).sum(1) / norm_N / other_N).min() > 0.99
    assert abs(norm_N / other_N - 1).max() < 0.15  # a gain answers small differences by larger ones


def test_the_command_takes_dali(tmp_path, capsys):
    assert embed.main(["--images", str(EXAMPLES), "--out", str(tmp_path / "r.npy"), "--input", "dali"]) == 0
    assert capsys.readouterr().out.startswith(f"embed: 53 images -> {tmp_path / 'r.npy'}")
    assert len(read_embeddings(tmp_path / "r.npy").ids) == 53


def test_a_missing_dali_is_one_line(tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("asl_fast.views.dali")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nvidia.dali.experimental.dynamic", None)
    assert embed.main(["--images", str(EXAMPLES), "--out", str(tmp_path / "r.npy"), "--input", "dali"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--input dali: DALI is not installed; pip install 'asl-fast[dali]'" in line

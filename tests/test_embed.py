"""The embed command: closing line, failures.csv, exit status, errors of one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from asl_fast import embed
from asl_fast.embeddings import SUFFIXES, read_embeddings
from asl_fast.models import Descriptor, DescriptorConfig, save_descriptor


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    torch.manual_seed(0)
    config = DescriptorConfig(backbone="test_resnet", edge_px=64)
    folder = tmp_path_factory.mktemp("model")
    save_descriptor(folder, Descriptor(config), config)
    return str(folder)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (40, 30), (60 * number, 99, 200)).save(folder / f"p{number}.png")
    return folder


@pytest.fixture
def run(tiny_folder, tmp_path, monkeypatch, capsys):
    """Run the command in tmp_path with the tiny model; return exit status, stdout, stderr without the bar."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str):
        status = embed.main(["--images", "pictures", "--model", tiny_folder, "--threads", "1", *arguments])
        said = capsys.readouterr()
        lines = [line for line in said.err.replace("\r", "\n").split("\n") if line and "image/s" not in line]
        return status, said.out, lines

    return go


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.usefixtures("pictures")
def test_a_folder_becomes_a_file_of_embeddings(run, tmp_path, suffix):
    status, said, errors = run("--out", f"sub/r{suffix}")
    assert (status, errors) == (0, [])
    assert said.startswith(f"embed: 4 images -> sub/r{suffix} (4 x 96, ") and said.endswith(" images/s)\n")
    assert read_embeddings(tmp_path / "sub" / f"r{suffix}").ids == ["p0", "p1", "p2", "p3"]
    assert not (tmp_path / "sub" / "failures.csv").exists()


def test_failed_pictures_are_listed_and_the_status_is_partial(run, pictures, tmp_path):
    (pictures / "p1x.jpg").write_bytes(b"")
    status, said, _ = run("--out", "r.npy")
    assert status == 3 and said.startswith("embed: 5 images (1 failed, see failures.csv) -> r.npy (4 x 96, ")
    header, row = (tmp_path / "failures.csv").read_text().splitlines()
    assert header == "output,id,path,reason" and row.startswith("r.npy,p1x,pictures/p1x.jpg,")
    (pictures / "p1x.jpg").unlink()
    assert run("--out", "r.npy")[0] == 0
    assert not (tmp_path / "failures.csv").exists()


def test_the_list_of_failures_can_lie_elsewhere(run, pictures, tmp_path):
    (pictures / "bad.jpg").write_bytes(b"")
    assert run("--out", "r.npy", "--failures", "logs/bad.csv")[0] == 3
    assert (tmp_path / "logs" / "bad.csv").exists() and not (tmp_path / "failures.csv").exists()


def test_all_failed_is_status_2_and_writes_only_the_list(run, pictures, tmp_path):
    for file in pictures.iterdir():
        file.write_bytes(b"no picture")
    status, said, errors = run("--out", "r.npy")
    assert (
        (status, said) == (2, "") and len(errors) == 1 and "none of 4 images could be embedded" in errors[0]
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["failures.csv", "pictures"]


def test_equal_names_in_two_folders_need_ids_by_path(run, pictures, tmp_path):
    (pictures / "sub").mkdir()
    (pictures / "p0.png").rename(pictures / "sub" / "p1.png")
    status, _, errors = run("--out", "r.npy")
    assert status == 2 and "--ids path" in errors[0]
    assert run("--out", "r.npy", "--ids", "path")[0] == 0
    assert "sub/p1.png" in read_embeddings(tmp_path / "r.npy").ids


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "r.csv"], "--out r.csv ends in '.csv'; embeddings are .npy"),
        (["--out", "pictures"], "--out pictures has no ending"),
        (["--out", "r.npy", "--batch-size", "0"], "--batch-size must be from 1 to 65536, got 0"),
        (["--out", "r.npy", "--threads", "0"], "--threads must be from 1 to 65536, got 0"),
        (["--out", "r.npy", "--images", "nowhere"], "--images nowhere"),
        (["--out", "r.npy", "--model", "nowhere"], "--model nowhere"),
        (["--out", "r.npy", "--model", "timm:resnet5"], "near it: resnet50"),
        (["--out", "pictures/p0.png/r.npy"], "can't be written to"),
        (["--out", "r.npy", "--failures", "pictures/p0.png"], "is no list of failures"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_each_mistake_is_one_line_and_leaves_nothing(run, tmp_path, arguments, words):
    status, said, errors = run(*arguments)
    assert (status, said) == (2, "") and len(errors) == 1 and words in errors[0], errors
    assert [file.name for file in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what happens where there is no GPU")
@pytest.mark.usefixtures("pictures")
def test_cuda_without_a_gpu_is_one_line(run):
    status, _, errors = run("--out", "r.npy", "--device", "cuda")
    assert status == 2 and len(errors) == 1 and "--device cuda" in errors[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("pictures")
def test_a_gpu_gives_the_rows_of_the_cpu(run, tmp_path):
    assert run("--out", "c.npy")[0] == run("--out", "g.npy", "--device", "cuda")[0] == 0
    cpu, gpu = (read_embeddings(tmp_path / name).row_ND for name in ("c.npy", "g.npy"))
    np.testing.assert_allclose(cpu, gpu, rtol=1e-2, atol=1e-2)


@pytest.mark.usefixtures("pictures")
def test_two_threads_give_the_rows_of_one(run, tmp_path):
    run("--out", "a.npy", "--threads", "1")
    run("--out", "b.npy", "--threads", "2")
    one, two = (read_embeddings(tmp_path / name).row_ND for name in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(one, two)


FULL_DISK = """
import resource, sys
from asl_fast import embed
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
raise SystemExit(embed.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("limit", [1000, 1600])  # the rows of four pictures are 1536 bytes, the .npy 1664
@pytest.mark.usefixtures("pictures")
def test_a_full_disk_is_one_line_and_the_run_goes_on_later(run, tmp_path, tiny_folder, limit):
    arguments = ["--images", "pictures", "--model", tiny_folder, "--threads", "1", "--out", "r.npy"]
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), *arguments], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2, ended.stderr
    assert "asl-fast embed: error: File too large" in ended.stderr and "Traceback" not in ended.stderr
    assert not (tmp_path / "r.npy").exists() and not (tmp_path / "r.ids.txt").exists()
    assert run("--out", "r.npy")[0] == 0
    assert len(read_embeddings(tmp_path / "r.npy")) == 4


def test_a_run_killed_by_the_system_goes_on_where_it_was(run, pictures, tmp_path, tiny_folder):
    for number in range(300):
        Image.new("RGB", (300, 300), (number % 256, 3, 7)).save(pictures / f"q{number}.png")
    assert run("--out", "whole.npy", "--batch-size", "1")[0] == 0
    command = [sys.executable, "-m", "asl_fast.embed", "--images", "pictures", "--model", tiny_folder]
    command += ["--threads", "1", "--batch-size", "1", "--out", "r.npy"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    done = tmp_path / "r.npy.partial" / "done.jsonl"
    deadline = time.monotonic() + 120
    while not (done.exists() and done.stat().st_size > 500):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (tmp_path / "r.npy").exists()
    status, said, _ = run("--out", "r.npy", "--batch-size", "1")
    assert status == 0 and "kept from an earlier run" in said
    assert (tmp_path / "r.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_views_sizes_and_shapes_are_flags(run, pictures, tmp_path):
    status, said, _ = run("--out", "v.npy", "--views", "quarters", "--resize", "short", "--edge", "32,48")
    assert status == 0 and said.startswith("embed: 4 images -> v.npy (20 x 96, ")
    embeddings = read_embeddings(tmp_path / "v.npy")
    assert embeddings.ids[:2] == ["p0#whole", "p0#quarter-1"]
    meta = (tmp_path / "v.meta.json").read_text()
    assert '"edge_px": "32,48"' in meta and '"resize_mode": "short"' in meta


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--edge", "big"], "--edge must be pixels, such as 256 or 200,256,320, got 'big'"),
        (["--edge", "0"], "edge_px must be between 1 and 8192, got 0"),
        (["--edge", "64,64"], "sizes must be distinct"),
        (["--views", "some"], "views must be one of whole,"),
        (["--input", "dali", "--views", "turns"], "--input dali makes one square a picture"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_impossible_sizes_and_views_are_one_line(run, flags, said):
    status, out, errors = run("--out", "r.npy", *flags)
    assert (status, out) == (2, "") and len(errors) == 1 and said in errors[0]

"""The command as torchrun starts it: it trains, and one line says why it doesn't."""

import os
import subprocess
import sys


def torchrun(*given):
    """Two processes of the command, on the CPU."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "asl_fast.train"]
    return subprocess.run(
        [sys.executable, *command, *map(str, given), "--threads", "1", "--workers", "0"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_torchrun_trains_with_one_closing_line(photo_folder, start_model, tmp_path):
    out = tmp_path / "one"
    done = torchrun("--images", photo_folder, "--out", out, "--model", start_model, "--steps", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and done.stdout.startswith("train: 2 steps on 16 photos")
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
    assert len(list((out / "checkpoint").glob("*-of-00002.safetensors"))) == 2
    assert {path.name for path in out.iterdir()} >= {"best", "model", "run.png"}


def test_what_is_wrong_is_said_once(photo_folder, tmp_path):
    done = torchrun("--images", photo_folder, "--out", tmp_path, "--model", "no/such/model", "--steps", 2)
    assert done.returncode != 0 and done.stdout == ""
    said = [line for line in done.stderr.splitlines() if "asl-fast train: " in line]
    assert len(said) == 1 and "no/such/model" in said[0]

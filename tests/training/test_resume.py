"""A run that is killed outright, and started again, leaves the same bits as one that was left alone.

Batches have hard-negative pairs, and other numbers of processes make them.
"""

import json
import os
import signal
import subprocess
import sys
import time

_RUN = """
import sys
from pathlib import Path
import torch
from asl_fast.images import find_images
from asl_fast.training import PairSettings, TrainSettings, read_pairs, train

torch.set_num_threads(1)
photos, start, pairs, out, num_workers = sys.argv[1:]
settings = TrainSettings(
    start=start, num_steps=36, num_identities=4, num_views=3, save_every=4, frozen_statistics=False,
    pairs=PairSettings(per_batch=1, term="random"),
)
train(
    find_images(photos), Path(out), settings, seed=3, folder=Path(photos), pairs=read_pairs(pairs),
    num_workers=int(num_workers), progress=False,
)
"""


PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17), (18, 19))
DIRECTIONS = ("a_over_b", "b_over_a", "none", "none", "none") * 2


def start_run(photo_folder, start_model, out, num_workers):
    pairs = out.parent / "pairs.csv"
    named = [(photo_folder / f"photo{a:02d}.png", photo_folder / f"photo{b:02d}.png") for a, b in PAIRS]
    lines = [f"{a},{b},{direction}" for (a, b), direction in zip(named, DIRECTIONS, strict=True)]
    pairs.write_text("\n".join(["file_a,file_b,direction", *lines]) + "\n")
    given = [photo_folder, start_model, pairs, out, num_workers]
    command = [sys.executable, "-c", _RUN, *map(str, given)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_killed_run_ends_with_the_same_bits_as_one_left_alone(photo_folder, start_model, tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    left_alone = start_run(photo_folder, start_model, calm, 0)
    run = start_run(photo_folder, start_model, killed, 1)
    wait_for_lines(killed / "metrics.jsonl", 10, run)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    told = json.loads((killed / "checkpoint/checkpoint.json").read_text())
    assert 8 <= told["step"] < 36 and not (killed / "model").exists()
    assert start_run(photo_folder, start_model, killed, 2).wait() == 0
    assert left_alone.wait() == 0
    for name in ("model/model.safetensors", "model/config.json", "evaluation.json", "metrics.jsonl"):
        assert (calm / name).read_bytes() == (killed / name).read_bytes(), name
    assert len((killed / "metrics.jsonl").read_text().splitlines()) == 36


def wait_for_lines(path, num_lines, run):
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < num_lines:
        assert run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)

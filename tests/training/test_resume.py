"""A run that is stopped anywhere, and started again, leaves the same bits as one that was left alone.

Batches have hard-negative pairs, and other numbers of processes make them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asl_fast.images import find_images
from asl_fast.training import PairSettings, TrainSettings, read_pairs, train

PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17), (18, 19))
DIRECTIONS = ("a_over_b", "b_over_a", "none", "none", "none") * 2
LEFT = (
    "model/model.safetensors", "model/config.json", "best/model.safetensors", "best/config.json",
    "best/evaluation.json", "evaluation.json", "metrics.jsonl",
)  # fmt: skip
_RUN = "import sys; from test_resume import run; import torch; torch.set_num_threads(1); run(*sys.argv[1:])"


def run(photos, start, pairs, out, num_workers, num_steps, every):
    """All arguments as text, as a command's."""
    settings = TrainSettings(
        start=start, num_steps=int(num_steps), num_identities=4, num_views=3, save_every=int(every),
        evaluate_every=int(every), frozen_statistics=False, lr=3e-3,
        pairs=PairSettings(per_batch=1, term="random"),
    )  # fmt: skip
    return train(
        find_images(photos), Path(out), settings, seed=3, folder=Path(photos), pairs=read_pairs(pairs),
        num_workers=int(num_workers), progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def given(photo_folder, start_model, tmp_path_factory):
    """What every run here is told first."""
    pairs = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    named = [(photo_folder / f"photo{a:02d}.png", photo_folder / f"photo{b:02d}.png") for a, b in PAIRS]
    lines = [f"{a},{b},{direction}" for (a, b), direction in zip(named, DIRECTIONS, strict=True)]
    pairs.write_text("\n".join(["file_a,file_b,direction", *lines]) + "\n")
    return str(photo_folder), str(start_model), str(pairs)


def assert_same_bits(one, other):
    for name in LEFT:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_killed_run_ends_with_the_same_bits_as_one_left_alone(given, tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    steps = ("16", "4")
    there = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", _RUN, *given, str(killed), "1", *steps]
    with subprocess.Popen(command, env=there) as process:
        run(*given, calm, "0", *steps)
        wait_for_lines(killed / "metrics.jsonl", 6, process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    told = json.loads((killed / "checkpoint/checkpoint.json").read_text())
    assert 4 <= told["step"] < 16 and not (killed / "model").exists()
    outcome = run(*given, killed, "2", *steps)
    assert outcome.first_step == told["step"]
    assert_same_bits(calm, killed)
    assert len((killed / "metrics.jsonl").read_text().splitlines()) == 16


class Stopped(BaseException):
    """Stands for a kill: nothing catches it."""


class StopAt:
    """Replaces Path.replace, by which every file of a run appears: stops before or after the chosen one."""

    def __init__(self, monkeypatch, at, *, after):
        self.num_calls, self._at, self._after, self._replace = 0, at, after, Path.replace
        stop = self

        def replace(path, target):
            stop.num_calls += 1
            if stop.num_calls == at and not after:
                raise Stopped
            stop._replace(path, target)
            if stop.num_calls == at:
                raise Stopped

        monkeypatch.setattr(Path, "replace", replace)


def test_stopped_where_a_file_appears_it_ends_with_the_same_bits(given, tmp_path, monkeypatch):
    steps = ("5", "2")
    calm = tmp_path / "calm"
    with monkeypatch.context() as patch:
        counted = StopAt(patch, 0, after=False)
        run(*given, calm, "0", *steps)
    assert counted.num_calls > 15
    for at in range(4, counted.num_calls + 1, 3):
        out = tmp_path / str(at)
        with monkeypatch.context() as patch:
            StopAt(patch, at, after=at % 2 == 0)
            with pytest.raises(Stopped):
                run(*given, out, "0", *steps)
        run(*given, out, "0", *steps)
        assert_same_bits(calm, out)


def wait_for_lines(path, num_lines, process):
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < num_lines:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)

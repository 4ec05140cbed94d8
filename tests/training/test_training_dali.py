"""The batch of a step with views by DALI: it says what the CPU's says, of nearly the same pixels."""

import pytest
import torch
from training_batches import batch_of

from asl_fast import train
from asl_fast.images import find_images
from asl_fast.training import PairSettings, TrainSettings
from asl_fast.training.executors import open_executor
from asl_fast.training.photo_set import Pair
from asl_fast.training.photos import read_photos
from asl_fast.views import CpuExecutor, FilePhotos

pytest.importorskip("nvidia.dali", reason="DALI is not installed: pip install 'asl-fast[dali]'")

SETTINGS = TrainSettings(num_steps=9, num_identities=6, num_views=3, pairs=PairSettings())


@pytest.fixture(scope="module")
def photos(photo_folder):
    return read_photos(find_images(photo_folder), 64, num_threads=2, progress=False)[0]


def test_a_batch_says_the_same_as_the_cpus(photos):
    source = FilePhotos(photos.files)
    dali = open_executor("dali", source, device="cpu", num_workers=2)
    how = {"pairs": (Pair(16, 17, 1), Pair(0, 18, 0)), "num_single": 16}
    ours = batch_of(photos, SETTINGS, 2, executor=dali, **how)
    theirs = batch_of(photos, SETTINGS, 2, executor=CpuExecutor(source, num_workers=0), **how)
    dali.close()
    assert torch.equal(ours.label_B, theirs.label_B) and torch.equal(ours.nest_B, theirs.nest_B)
    assert torch.equal(ours.over_P2, theirs.over_P2) and torch.equal(ours.even_E2, theirs.even_E2)
    apart_B = (ours.pixels_BCHW.int() - theirs.pixels_BCHW.int()).abs().float().flatten(1).mean(1)
    assert apart_B.median() < 2  # the CPU decodes at a scale that is enough, and views are of 32 px


def test_the_command_trains_with_dali(photo_folder, tmp_path, capsys):
    arguments = ["--images", str(photo_folder), "--out", str(tmp_path / "run"), "--steps", "1"]
    assert train.main([*arguments, "--input", "dali", "--threads", "1"]) == 0
    assert capsys.readouterr().out.startswith("train: 1 steps")

"""Pictures with something in them, and a start model small enough for seconds."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from asl_fast.models import Descriptor, DescriptorConfig, save_descriptor


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine two threads wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw_photo(seed):
    """A few coloured shapes on a ground: another scene for another seed."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (7, 3))
    photo = Image.new("RGB", (96, 72), tuple(colours[0]))
    pen = ImageDraw.Draw(photo)
    for colour in colours[1:]:
        left, top = rng.uniform(0, 70), rng.uniform(0, 50)
        box = (left, top, left + rng.uniform(8, 40), top + rng.uniform(8, 30))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(box, fill=tuple(colour))
    return photo


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(20):
        draw_photo(seed).save(folder / f"photo{seed:02d}.png")
    return folder


@pytest.fixture(scope="session")
def start_model(tmp_path_factory):
    """A tiny network with random weights, saved as any model is."""
    folder = tmp_path_factory.mktemp("start")
    config = DescriptorConfig(backbone="test_resnet", edge_px=32, resize_mode="square", num_dims=32)
    torch.manual_seed(0)
    save_descriptor(folder, Descriptor(config), config)
    return folder

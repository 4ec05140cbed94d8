import io

import numpy as np
import pytest
from PIL import Image

from asl_fast.views import MemoryPhotos


def jpeg(width, height, seed):
    """A soft picture of colours that differ from seed to seed, as a JPEG file."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.fixture(scope="session")
def encoded():
    sizes = [(320, 240), (200, 300), (64, 64), (401, 263), (150, 99), (240, 241)]
    return [jpeg(*size, seed) for seed, size in enumerate(sizes)]


@pytest.fixture
def photos(encoded):
    return MemoryPhotos(encoded)

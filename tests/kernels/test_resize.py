"""resize against its formula in float64, against Pillow, and at the edges of what a picture can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from asl_fast import _C
from asl_fast.kernels.resize import resize
from asl_fast.kernels.resize.reference import resize as formula

PATHS = _C.resize_paths()
edges = st.integers(1, 90)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def scene(height: int, width: int) -> np.ndarray:
    """Soft shapes, as photos have them."""
    coarse = Image.fromarray(noise(max(2, height // 16), max(2, width // 16)))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@given(edges, edges, edges, edges, st.integers(0, 9))
@example(1, 1, 7, 5, 0)
@example(85, 3, 2, 80, 0)
@example(33, 2000, 33, 4, 0)
@example(600, 17, 3, 17, 0)
def test_pixels_are_within_two_levels_of_the_formula(
    height: int, width: int, out_height: int, out_width: int, seed: int
) -> None:
    pixels = noise(height, width, seed)
    wanted = formula(pixels, out_height, out_width).astype(int)
    for path in PATHS:
        difference = np.abs(resize(pixels, out_height, out_width, _instructions=path) - wanted)
        assert difference.max() <= 2 and difference.mean() <= 0.1


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300), st.integers(1, 300))
def test_every_instruction_set_gives_the_same_bits(
    height: int, width: int, out_height: int, out_width: int
) -> None:
    pixels = noise(height, width)
    first = resize(pixels, out_height, out_width, _instructions=PATHS[0])
    for path in PATHS[1:]:
        assert np.array_equal(first, resize(pixels, out_height, out_width, _instructions=path))


@pytest.mark.parametrize(
    ("size", "out"), [((375, 500), 224), ((235, 313), 224), ((900, 600), 256), ((40, 60), 224)]
)
def test_a_scene_looks_as_pillow_resizes_it(size: tuple[int, int], out: int) -> None:
    pixels = scene(*size)
    pillow = np.asarray(Image.fromarray(pixels).resize((out, out), Image.Resampling.BICUBIC))
    difference = np.abs(resize(pixels, out, out).astype(int) - pillow)
    assert difference.max() <= 4 and difference.mean() <= 0.35


@given(edges, edges, st.integers(1, 40), st.integers(1, 40), st.tuples(*[st.integers(0, 255)] * 3))
def test_flat_stays_flat(
    height: int, width: int, out_height: int, out_width: int, colour: tuple[int, ...]
) -> None:
    pixels = np.full((height * 7, width * 5, 3), colour, np.uint8)
    assert np.array_equal(resize(pixels, out_height, out_width), np.full((out_height, out_width, 3), colour))


@given(edges, edges)
def test_the_same_size_gives_the_same_pixels(height: int, width: int) -> None:
    pixels = noise(height, width)
    assert np.array_equal(resize(pixels, height, width), pixels)


def test_a_picture_and_its_mirror_image_stay_mirror_images() -> None:
    pixels = scene(301, 403)
    found = resize(pixels, 100, 117)
    assert np.abs(resize(pixels[:, ::-1], 100, 117)[:, ::-1].astype(int) - found).max() <= 1
    assert np.abs(resize(pixels[::-1], 100, 117)[::-1].astype(int) - found).max() <= 1


def test_a_slice_is_read_where_it_lies() -> None:
    whole = noise(80, 90)
    part = whole[11:71, 7:83]
    assert not part.flags.c_contiguous
    assert np.array_equal(resize(part, 30, 31), resize(part.copy(), 30, 31))
    for turned in (whole.transpose(1, 0, 2), whole[::-1], whole[:, ::-1], whole[5:6, ::-1], whole[::-1, 5:6]):
        assert np.array_equal(resize(turned, 30, 31), resize(turned.copy(), 30, 31))
    for number in range(4):
        assert np.array_equal(resize(np.rot90(whole[:1, :1], number), 2, 2), np.full((2, 2, 3), whole[0, 0]))


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1), (20_001, 3), (3, 20_001)])
def test_slivers_average_out(size: tuple[int, int]) -> None:
    stripes = np.zeros((*size, 3), np.uint8)
    stripes[::2, ::2] = 255
    mean = stripes.mean()
    assert np.abs(resize(stripes, 4, 4).mean() - mean) <= 2


def test_a_huge_picture_is_the_mean_of_its_parts() -> None:
    pixels = np.kron(noise(4, 4), np.ones((500, 500, 1), np.uint8))
    found = resize(pixels, 4, 4).astype(int)
    assert np.abs(found - formula(pixels, 4, 4)).max() <= 2


@pytest.mark.parametrize(
    ("pixels", "size", "said"),
    [
        (np.zeros((4, 4, 3), np.float32), (2, 2), "float32"),
        (np.zeros((4, 4), np.uint8), (2, 2), r"\(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), (2, 2), r"\(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), (2, 2), r"\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), (0, 2), "got 0 and 2"),
        (np.zeros((4, 4, 3), np.uint8), (2, 2**16 + 1), "got 2 and 65537"),
    ],
)
def test_other_input_is_refused(pixels: np.ndarray, size: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=f"resize: .*{said}"):
        resize(pixels, *size)

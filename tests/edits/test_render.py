"""How steps are drawn, against plain formulas."""

import cv2
import numpy as np
import pytest
from coarse_photo import photo
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.edits import render
from asl_fast.edits.geometry import scaling, shift
from asl_fast.edits.render.filters import blurred
from asl_fast.edits.render.values import random_bytes
from asl_fast.edits.render.warping import resized
from asl_fast.edits.steps import AddNoise, Erase, Screen, Shade, ShufflePixels, Warp

MIRRORS = [scaling(x, y) for x in (1, -1) for y in (1, -1)]
SWAP = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])


def drawn(step, pixels):
    return render([step], pixels, [pixels])


@pytest.mark.parametrize("turned", [turn @ mirror for mirror in MIRRORS for turn in (np.eye(3), SWAP)])
def test_quarter_turns_and_mirrors_move_whole_pixels(turned):
    pixels = photo((13, 9))
    place_N2 = np.stack(np.meshgrid(np.arange(13), np.arange(9)), 2).reshape(-1, 2) + 0.5
    there_N2 = place_N2 @ turned[:2, :2].T
    low_2 = np.floor(there_N2.min(0))
    size = tuple((np.ceil(there_N2.max(0)) - low_2).astype(int).tolist())
    column_N, row_N = np.floor(there_N2 - low_2).astype(int).T
    expected = np.zeros((size[1], size[0], 3), np.uint8)
    expected[row_N, column_N] = pixels.reshape(-1, 3)
    assert (drawn(Warp(shift(*-low_2) @ turned, size), pixels) == expected).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60), st.integers(1, 60))
def test_resized_picture_has_the_mean_of_its_areas(width, height, new_width, new_height):
    slope = np.zeros((height, width, 3), np.uint8)
    slope[:, :, 0] = 20 + 2 * np.arange(width)
    slope[:, :, 1] = 20 + 2 * np.arange(height)[:, None]
    small = resized(slope, (new_width, new_height)).astype(float)
    x_W = (np.arange(new_width) + 0.5) * width / new_width
    y_H = (np.arange(new_height) + 0.5) * height / new_height
    expected = np.clip(x_W, 0.5, width - 0.5) - 0.5, np.clip(y_H, 0.5, height - 0.5) - 0.5
    # in levels, two a pixel: each halving rounds down a little
    assert abs(small[:, :, 0] - 20 - 2 * expected[0]).max() <= 3
    assert abs(small[:, :, 1] - 20 - 2 * expected[1][:, None]).max() <= 3


def test_shrunk_checkerboard_is_grey():
    board = np.full((64, 96, 3), 255, np.uint8) * (np.indices((64, 96)).sum(0) % 2)[:, :, None].astype(
        np.uint8
    )
    for size in ((24, 16), (31, 13), (5, 30)):
        assert abs(resized(board, size).astype(int) - 127).max() <= 45, size


@pytest.mark.parametrize("sigma_y", [0.3, 0.7, 1.0, 1.7, 2.0, 3.1, 6.0])
@pytest.mark.parametrize("ratio", [1.0, 1.4])
def test_blur_has_the_variance_it_is_asked_for(sigma_y, ratio):
    dot = np.zeros((121, 151), np.float64)
    for place in range(64):  # one place alone meets the cells of the shrunk picture by chance
        spot = np.zeros((121, 151), np.uint8)
        spot[56 + place // 8, 71 + place % 8] = 255
        dot += np.roll(blurred(spot, ratio * sigma_y, sigma_y), (-(place // 8), -(place % 8)), (0, 1))
    x_W, y_H = np.arange(151) - 71, np.arange(121) - 56
    variances = (dot * x_W**2).sum() / dot.sum(), (dot * y_H[:, None] ** 2).sum() / dot.sum()
    if dot.sum() > 64 * 200:  # else the values are rounded away
        assert variances == pytest.approx(((ratio * sigma_y) ** 2, sigma_y**2), rel=0.25, abs=0.05)


def test_blur_keeps_the_mean_and_the_place():
    pixels = photo((131, 97))
    for sigma in (0.5, 1.3, 2.5, 5.0):
        soft, plain = blurred(pixels, sigma, sigma), cv2.GaussianBlur(pixels, (0, 0), sigma)
        assert abs(soft.astype(int) - plain).mean() < 1.5, sigma


def test_noise_has_its_sigma_and_no_row_twice():
    grey = np.full((200, 300, 3), 128, np.uint8)
    for sigma in (3.0, 15.0, 40.0):
        noise = drawn(AddNoise(5, sigma), grey).astype(float) - 128
        assert noise.std() == pytest.approx(sigma, rel=0.05) and abs(noise.mean()) < 0.1 + sigma / 100
        assert abs(np.corrcoef(noise.reshape(200, -1))[np.triu_indices(200, 1)]).max() < 0.2
        assert abs(np.corrcoef(noise.reshape(-1, 3).T)[np.triu_indices(3, 1)]).max() < 0.03
    assert (drawn(AddNoise(6, 9.0), grey) != drawn(AddNoise(7, 9.0), grey)).mean() > 0.9


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**31 - 1))
def test_shuffled_picture_has_the_same_pixels(width, height, share, seed):
    number = np.arange(width * height, dtype=np.uint32)
    pixels = np.stack([number >> move & 255 for move in (0, 8, 16)], 1).astype(np.uint8)
    shuffled = drawn(ShufflePixels(seed, share), pixels.reshape(height, width, 3)).reshape(-1, 3)
    assert sorted(shuffled.tolist()) == sorted(pixels.tolist())


def test_shuffled_pixels_travel_everywhere():
    number = np.arange(120 * 90, dtype=np.uint32)
    pixels = np.stack([number >> move & 255 for move in (0, 8, 16)], 1).astype(np.uint8).reshape(90, 120, 3)
    there = drawn(ShufflePixels(3, 0.4), pixels).astype(int) @ (1, 256, 65536)
    gone = there.ravel() != number
    assert gone.mean() == pytest.approx(0.4, abs=0.02)
    for edge, axis in ((120, number % 120), (90, number // 120)):
        moved = abs(axis[there.ravel()][gone].astype(int) - axis[gone])
        assert moved.mean() == pytest.approx(edge / 3, rel=0.06)
    assert gone.reshape(9, 10, 12, 10).mean((1, 3)).std() < 0.07  # as many in every corner


@pytest.mark.parametrize("levels", [2, 3, 5, 8])
@pytest.mark.parametrize("grey", [False, True])
def test_screen_rounds_by_its_thresholds(levels, grey):
    tile = np.linspace(0.05, 0.95, 12).reshape(3, 4).astype(np.float32)
    pixels = cv2.cvtColor(photo((50, 40))[:, :, 0], cv2.COLOR_GRAY2RGB)
    repeated = np.tile(tile, (14, 13))[:40, :50, None]
    expected = np.floor(pixels / 255 * (levels - 1) + repeated).astype(int) * 255 // (levels - 1)
    different = abs(drawn(Screen(tile, levels, grey), pixels).astype(int) - expected)
    assert (different > 1).mean() < 0.02 * levels and different.max() <= 255 / (levels - 1) + 1


def test_noise_in_a_box_stays_in_it():
    pixels = np.full((40, 50, 3), 7, np.uint8)
    boxes = tuple(
        np.array([[x, y], [x + 9, y], [x + 9, y + 6], [x, y + 6]], float) for x, y in ((3, 5), (30, 30))
    )
    noisy = drawn(Erase(boxes, noise_seed=4), pixels)
    inside = np.zeros((40, 50), bool)
    inside[5:11, 3:12] = inside[30:36, 30:39] = True
    assert (noisy[~inside] == 7).all() and (noisy[inside] != 7).mean() > 0.95


def test_random_bytes_are_those_of_every_machine():
    assert random_bytes(1, 11).tolist() == random_bytes(1, 16).tolist()[:11]
    assert np.bincount(random_bytes(3, 1 << 16) >> 4).std() < 100


@pytest.mark.parametrize("most", [0.6, 1.0, 1.8])
def test_shade_multiplies_by_the_stretched_gains(most):
    pixels = photo((90, 70))
    gain = (most * np.random.default_rng(1).random((6, 5))).astype(np.float32)
    expected = np.clip(pixels * cv2.resize(gain, (90, 70))[:, :, None].astype(float), 0, 255)
    assert abs(drawn(Shade(gain), pixels) - expected).max() < 2.5

"""The plan of a chain's drawing against its steps drawn one by one."""

import cv2
import numpy as np
import pytest
from coarse_photo import photo

from asl_fast.edits import KINDS, RECIPES, Chain, Crop, Fit, render, trace
from asl_fast.edits.render.plan import StretchedBlur, planned
from asl_fast.edits.steps import Onto, Warp

SIZE = (400, 300)


def one_by_one(steps, pixels, pool):
    for step in steps:
        pixels = render([step], pixels, pool)
    return pixels


def chains(name, number):
    return [RECIPES[name].sample(np.random.default_rng(seed), fit=Fit(edge_px=96)) for seed in range(number)]


@pytest.mark.parametrize("name", RECIPES)
def test_planned_picture_looks_like_the_steps_drawn_one_by_one(name, pool):
    original = photo(SIZE, 4)
    different = []
    for chain in chains(name, 60):
        steps = chain.steps(SIZE)
        pictures = render(steps, original, pool), one_by_one(steps, original, pool)
        assert pictures[0].shape == pictures[1].shape
        soft = [cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.5) for picture in pictures]
        different.append(abs(soft[0] - soft[1]).mean())
    assert np.median(different) < 1 and max(different) < 7


@pytest.mark.parametrize("name", RECIPES)
def test_planned_steps_have_the_trace_of_the_steps(name):
    for chain in chains(name, 150):
        steps = chain.steps(SIZE)
        plan = [step for step in planned(steps, SIZE) if not isinstance(step, StretchedBlur)]
        told, found = trace(steps, SIZE), trace(plan, SIZE)
        assert found.view_size == told.view_size and found.clear == pytest.approx(told.clear)
        assert found.matrix == pytest.approx(told.matrix, rel=1e-6, abs=1e-6), str(chain)
        assert found.area == pytest.approx(told.area, abs=1e-6)
        assert len(found.covers) == len(told.covers)
        assert found.visible == pytest.approx(told.visible, abs=0.06), str(chain)


def moving(steps):
    return [step for step in steps if isinstance(step, Warp | Onto)]


def test_moves_in_a_row_become_one_look_up(pool):
    chain = Chain(
        (
            Fit(edge_px=250, way="within"),
            KINDS["Flip"](upside_down=False),
            KINDS["Rotate"](degrees=20.0, fill=(9, 8, 7)),
            KINDS["Colour"](brightness=1.1, contrast=0.9, saturation=1.0, hue=0.0),
            KINDS["Blur"](radius_share=0.01),
            Fit(edge_px=96),
        )
    )
    plan = planned(chain.steps(SIZE), SIZE)
    assert [step.size for step in moving(plan)] == [(96, 96)]
    assert moving(plan)[0].fill == (9, 8, 7)


def test_what_is_cut_off_stays_cut_off(pool):
    white = np.full((300, 400, 3), 255, np.uint8)
    chain = Chain(
        (
            Crop(left=0.25, top=0.25, width=0.5, height=0.5),
            KINDS["Pad"](left=0.5, top=0.5, right=0.5, bottom=0.5, fill=(200, 0, 0)),
            KINDS["Rotate"](degrees=30.0, fill=(0, 0, 200)),
            Fit(edge_px=90),
        )
    )
    steps = chain.steps(SIZE)
    pictures = render(steps, white, pool), one_by_one(steps, white, pool)
    for colour in ((255, 255, 255), (200, 0, 0), (0, 0, 200)):
        shares = [(abs(picture.astype(int) - colour).max(2) < 30).mean() for picture in pictures]
        assert shares[0] == pytest.approx(shares[1], abs=0.012) and shares[1] > 0.1


def test_steps_that_look_at_pixels_keep_their_size(pool):
    for kind in ("Noise", "Shuffle", "Jpeg", "Pixelise", "Median", "Dither", "Halftone", "LineDrawing"):
        edit = KINDS[kind].sample(np.random.default_rng(0), 1.0)
        chain = Chain((Fit(edge_px=200, way="within"), edit, Fit(edge_px=50)))
        plan = planned(chain.steps(SIZE), SIZE)
        assert [step.size for step in moving(plan)] == [(267, 200), (50, 50)], kind

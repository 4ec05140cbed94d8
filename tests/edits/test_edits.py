"""Every kind of edit on real shapes of input, chains, and nested crops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from asl_fast import edits
from asl_fast.edits import Chain, Crop, nested_crops, sample_chain
from asl_fast.edits.chain import _KINDS

KINDS = [kind for kind, _ in _KINDS]
SIZES = [(1, 1), (1, 40), (40, 1), (64, 48), (700, 20)]


def photo(size=(64, 48), seed=0):
    """Coarse coloured noise: it has edges, colours, and no symmetry."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size)


POOL = [photo((50, 70), seed) for seed in (1, 2, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_edit_gives_an_rgb_picture_and_leaves_its_input_alone(kind, size):
    for seed in range(10):
        image = photo(size)
        edit = kind.sample(np.random.default_rng(seed), 1.0)
        edited = edit.apply(image, POOL)
        assert edited.mode == "RGB" and min(edited.size) >= 1
        assert ImageChops.difference(image, photo(size)).getbbox() is None
        assert 0 < edit.visible_share <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_edit_changes_something_at_full_strength(kind):
    edited = [kind.sample(np.random.default_rng(seed), 1.0).apply(photo(), POOL) for seed in range(5)]
    assert any(
        picture.size != (64, 48) or ImageChops.difference(picture, photo()).getbbox() for picture in edited
    )


def test_every_kind_of_edit_can_come_in_a_chain():
    rng = np.random.default_rng(0)
    seen = {type(edit) for _ in range(200) for edit in sample_chain(rng, 1.0).edits}
    public = {getattr(edits, name) for name in edits.__all__ if hasattr(getattr(edits, name), "sample")}
    assert seen == public - {edits.Edit}


def test_same_seed_gives_the_same_chain_and_pixels():
    for seed in range(20):
        one, other = (sample_chain(np.random.default_rng(seed), 0.8) for _ in range(2))
        assert one == other
        assert one.apply(photo(), POOL).tobytes() == other.apply(photo(), POOL).tobytes()


def test_other_seed_gives_another_chain():
    chains = {repr(sample_chain(np.random.default_rng(seed), 1.0)) for seed in range(50)}
    assert len(chains) > 45


def test_chain_of_strength_zero_is_the_picture_itself():
    chain = sample_chain(np.random.default_rng(0), 0.0)
    assert chain == Chain() and chain.visible_share == 1
    assert chain.apply(photo(), POOL).tobytes() == photo().tobytes()


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_strength_outside_zero_to_one_is_refused(strength):
    with pytest.raises(ValueError, match=r"strength must be in \[0, 1\]"):
        sample_chain(np.random.default_rng(0), strength)


def test_stripe_hides_the_share_it_says():
    white = Image.new("RGB", (200, 100), "white")
    for seed in range(30):
        stripe = edits.Stripe.sample(np.random.default_rng(seed), 1.0)
        if stripe.fill == (255, 255, 255):
            continue
        kept = (np.asarray(stripe.apply(white, POOL)) == 255).all(2).mean()
        assert kept == pytest.approx(stripe.visible_share, abs=0.011)


def test_pasted_picture_stands_whole_on_the_other_photo():
    image = Image.new("RGB", (40, 30), (1, 2, 3))
    canvas = Image.new("RGB", (9, 9), (200, 0, 0))
    pasted = edits.Paste.sample(np.random.default_rng(3), 1.0).apply(image, [canvas])
    pixels = np.asarray(pasted).reshape(-1, 3)
    assert (pixels == (1, 2, 3)).all(1).sum() == 40 * 30
    assert (pixels == (200, 0, 0)).all(1).sum() == len(pixels) - 40 * 30


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.05, 0.2, 0.7]), st.floats(0, 1))
def test_each_crop_lies_inside_the_last_and_is_no_larger(seed, num_crops, least_area, whole_share):
    crops = nested_crops(
        np.random.default_rng(seed), num_crops, least_area=least_area, whole_share=whole_share
    )
    outer = Crop(left=0.0, top=0.0, width=1.0, height=1.0)
    for crop in crops:
        assert crop.left >= outer.left - 1e-12 and crop.top >= outer.top - 1e-12
        assert crop.left + crop.width <= outer.left + outer.width + 1e-12
        assert crop.top + crop.height <= outer.top + outer.height + 1e-12
        assert least_area - 1e-9 <= crop.area <= outer.area + 1e-12
        outer = crop


def test_first_crop_is_the_whole_photo_when_asked_for():
    crops = [nested_crops(np.random.default_rng(seed), 3, whole_share=1.0)[0] for seed in range(20)]
    assert all(crop.area == 1 for crop in crops)
    assert crops[0].apply(photo()).tobytes() == photo().tobytes()


@pytest.mark.parametrize("size", SIZES)
def test_crop_of_any_picture_keeps_at_least_a_pixel(size):
    for seed in range(20):
        for crop in nested_crops(np.random.default_rng(seed), 4, least_area=0.01):
            assert min(crop.apply(photo(size)).size) >= 1


def test_crop_takes_the_pixels_of_its_box():
    image = photo((100, 50))
    cut = Crop(left=0.1, top=0.2, width=0.5, height=0.4).apply(image)
    assert cut.tobytes() == image.crop((10, 10, 60, 30)).tobytes()


def test_wrong_crop_settings_are_refused():
    with pytest.raises(ValueError, match=r"num_crops must be 1 or more.*got 0"):
        nested_crops(np.random.default_rng(0), 0)

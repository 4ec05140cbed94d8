"""Every kind of edit on real shapes of input, chains, their JSON, recipes, and nested crops."""

import io
import json

import numpy as np
import pytest
from coarse_photo import photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from asl_fast.edits import COMPOSITING, KINDS, RECIPES, Chain, Crop, Fit, nested_crops, render
from asl_fast.edits.compositing.wording import ALPHABETS, FONTS_OF
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometry import MAX_EDGE_PX, MAX_PIXELS
from asl_fast.edits.patches import font_size
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.webp import Webp
from asl_fast.edits.recipes import Turn
from asl_fast.images import decode

SIZES = [(1, 1), (1, 40), (40, 1), (64, 48), (700, 20)]
UNIVERSAL = dict(seed=st.integers(0, 2**32 - 1), strength=st.floats(0, 1))


def drawn_by(kind, seed, strength=1.0):
    return KINDS[kind].sample(np.random.default_rng(seed), strength)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_edit_gives_an_rgb_picture_and_leaves_its_input_alone(kind, size, pool):
    original, others = photo(size), [one.copy() for one in pool]
    for seed in range(8):
        pixels = original.copy()
        view = Chain((drawn_by(kind, seed),)).view(pixels, pool)
        assert view.pixels.dtype == np.uint8 and view.pixels.ndim == 3 and view.pixels.shape[2] == 3
        assert view.trace.view_size == (view.pixels.shape[1], view.pixels.shape[0])
        assert (pixels == original).all()
        assert 0 <= view.trace.content <= 1 + 1e-9
        assert min(size) < 48 or view.trace.content > 0.1
    assert all((one == other).all() for one, other in zip(pool, others, strict=True))


@pytest.mark.parametrize("size", [(20_000, 3), (3, 20_000), (40_000, 1), (3000, 2000)])
@pytest.mark.parametrize("kind", KINDS)
def test_edit_of_a_huge_picture_stays_drawable(kind, size, pool):
    if kind == "LineDrawing" and size == (3000, 2000):
        size = (2000, 1500)  # connected parts of six megapixels take seconds
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for seed in range(1 if size[1] > 1000 < size[0] else 5):
        view = Chain((drawn_by(kind, seed),)).view(pixels, pool)
        assert (view.pixels.shape[1], view.pixels.shape[0]) == view.trace.view_size
        assert view.pixels.size <= 3.01 * MAX_PIXELS and max(view.pixels.shape) <= MAX_EDGE_PX


@pytest.mark.parametrize("kind", KINDS)
def test_edit_changes_something_at_full_strength(kind, pool):
    original = photo()
    edited = [Chain((drawn_by(kind, seed),)).apply(original, pool) for seed in range(5)]
    assert any(one.shape != original.shape or (one != original).any() for one in edited)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "I;16"])
def test_any_mode_of_picture_reaches_the_edits_as_rgb(mode, pool):
    source = Image.fromarray(photo())
    picture = (
        Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
        if mode == "I;16"
        else source.convert("L").convert(mode)
        if mode == "LA"
        else source.convert(mode)
    )
    file = io.BytesIO()
    picture.save(file, "TIFF")
    pixels = np.asarray(decode(file.getvalue()))
    chain = RECIPES["disc"].sample(np.random.default_rng(0))
    assert chain.apply(pixels, pool).shape[2] == 3


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((4, 4, 3)),
    ],
)
def test_pixels_that_are_no_rgb_are_refused(wrong, pool):
    with pytest.raises(ValueError, match=r"pixels must be uint8 RGB \(height, width, 3\), got"):
        render([], wrong, pool)


@pytest.mark.parametrize("name", RECIPES)
def test_chain_comes_back_from_json_and_gives_the_same_bits(name, pool):
    original = photo((90, 70))
    for seed in range(40):
        chain = RECIPES[name].sample(np.random.default_rng(seed), fit=Fit(edge_px=48))
        again = Chain.from_json(chain.to_json())
        assert again == chain and str(again) == str(chain) and "\n" not in str(chain)
        assert chain.apply(original, pool).tobytes() == again.apply(original, pool).tobytes()


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), **UNIVERSAL)
def test_every_edit_comes_back_from_json(kind, seed, strength):
    chain = Chain((drawn_by(kind, seed, strength),))
    assert Chain.from_json(chain.to_json()) == chain


FLIP = {"kind": "Flip", "upside_down": True}
JPEG = {"kind": "Jpeg", "quality": 50}


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ("{", "chain: is not JSON"),
        ("{}", "must be a JSON list of edits, got dict"),
        ([3], "kind must be one of Crop.*got 3"),
        ([{"kind": "Explode"}], "kind must be one of Crop.*got 'Explode'"),
        ([{"kind": "Flip"}], "Flip takes upside_down; 'upside_down' is wrong"),
        ([FLIP | {"angle": 3}], "Flip takes upside_down; 'angle' is wrong"),
        ([FLIP | {"upside_down": 1}], "Flip upside_down must be bool, got 1"),
        ([JPEG | {"quality": 50.5}], "Jpeg quality must be a whole number, got 50.5"),
        ([JPEG | {"quality": True}], "Jpeg quality must be a whole number, got True"),
        ([{"kind": "Gamma", "exponent": float("nan")}], "Gamma exponent must be a finite number, got nan"),
        ([{"kind": "Gamma", "exponent": 1e300}], "Gamma exponent must be a number of sensible size"),
        ([{"kind": "Tone", "filter": "x", "amount": 1}], "Tone: filter must be one of sepia"),
        ([{"kind": "Rotate", "degrees": 3, "fill": [1, 2]}], "Rotate fill must be a list of 3"),
    ],
)
def test_wrong_json_is_refused_with_its_reason(told, complaint):
    with pytest.raises(ValueError, match=complaint):
        Chain.from_json(told if isinstance(told, str) else json.dumps(told))


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_gives_the_same_chain_and_another_seed_another(name):
    chains = [RECIPES[name].sample(np.random.default_rng(seed)) for seed in range(50)]
    assert chains == [RECIPES[name].sample(np.random.default_rng(seed)) for seed in range(50)]
    assert len({str(chain) for chain in chains}) > (12 if name == "mild" else 40)


def test_chain_of_strength_zero_is_the_picture_itself(pool):
    chain = RECIPES["disc"].sample(np.random.default_rng(0), 0.0)
    assert chain == Chain() and str(chain) == "(as it is)" and chain.trace((64, 48)).content == 1
    assert chain.apply(photo(), pool).tobytes() == photo().tobytes()


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_strength_outside_zero_to_one_is_refused(strength):
    with pytest.raises(ValueError, match=r"strength must be in \[0, 1\]"):
        RECIPES["bot"].sample(np.random.default_rng(0), strength)


@pytest.mark.parametrize(("chance", "strength"), [(0.5, 1.1), (1.1, 1.0), (0.5, -0.1)])
def test_a_turn_outside_zero_to_one_is_refused(chance, strength):
    with pytest.raises(ValueError, match=r"Turn: chance and strength must be in \[0, 1\]"):
        Turn(chance, (Flip,), strength)


def test_a_quality_that_no_codec_has_is_refused():
    for kind in (Webp, Jpeg):
        with pytest.raises(ValueError, match="quality must be from 1 to 100, got -5"):
            kind(quality=-5).steps((8, 8))


def test_every_kind_comes_in_some_recipe():
    rng = np.random.default_rng(0)
    chains = [RECIPES[name].sample(rng, fit=Fit(edge_px=9)) for name in RECIPES for _ in range(700)]
    assert {type(edit).__name__ for chain in chains for edit in chain.edits} == set(KINDS)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("size", [(320, 240), (40, 900)])
def test_recipe_keeps_its_promise_of_visible_content(name, size):
    recipe = RECIPES[name]
    for seed in range(300):
        trace = recipe.sample(np.random.default_rng(seed), fit=Fit(edge_px=64), size=size).trace(size)
        assert trace.visible >= recipe.least_visible and trace.shown >= recipe.least_shown
        assert trace.content > 0.01


def test_recipe_uses_the_crop_it_is_given_and_no_other():
    crop = Crop(left=0.1, top=0.1, width=0.5, height=0.5)
    for seed in range(50):
        edits = RECIPES["bot"].sample(np.random.default_rng(seed), crop=crop).edits
        assert [edit for edit in edits if isinstance(edit, Crop)] == [crop] and edits[0] == crop


def test_bot_recipe_has_the_chances_of_the_paper():
    rng = np.random.default_rng(0)
    chains = [RECIPES["bot"].sample(rng).edits for _ in range(700)]
    share = {
        name: np.mean([any(isinstance(e, KINDS[name]) for e in edits) for edits in chains]) for name in KINDS
    }
    told = {
        "Rotate": 0.3,
        "Pixelise": 0.3,
        "Colour": 0.8,
        "Blur": 1.0,
        "Flip": 0.5,
        "Paste": 0.2,
        "Emoji": 0.3,
    }
    assert share == pytest.approx(share | told, abs=0.06)
    assert share["Caption"] == pytest.approx(1 - 0.7**2, abs=0.06)


def test_stripe_hides_the_share_it_says(pool):
    white = np.full((100, 200, 3), 255, np.uint8)
    for seed in range(30):
        stripe = drawn_by("Stripe", seed)
        if stripe.fill != (255, 255, 255):
            kept = (Chain((stripe,)).apply(white, pool) == 255).all(2).mean()
            assert kept == pytest.approx(1 - stripe.width, abs=0.011)


def test_pasted_picture_stands_whole_on_the_other_photo():
    pixels = np.full((30, 40, 3), (1, 2, 3), np.uint8)
    other = np.full((9, 9, 3), (200, 0, 0), np.uint8)
    pasted = Chain((drawn_by("Paste", 3),)).apply(pixels, [other]).reshape(-1, 3)
    assert (pasted == (1, 2, 3)).all(1).sum() == 40 * 30
    assert (pasted == (200, 0, 0)).all(1).sum() == len(pasted) - 40 * 30


def test_colours_of_text_keep_their_order(pool):
    red = KINDS["Caption"](
        text="HHHH", font=1, height=0.5, left=0.1, top=0.1, fill=(255, 0, 0), outline=None, box=(0, 0, 255),
        opacity=1.0, degrees=0.0,
    )  # fmt: skip
    pixels = Chain((red,)).apply(np.zeros((60, 120, 3), np.uint8), pool)
    assert (pixels == (255, 0, 0)).all(2).sum() > 100 and (pixels == (0, 0, 255)).all(2).sum() > 100


def test_every_script_is_in_the_fonts_it_is_written_in():
    for script, alphabet in ALPHABETS.items():
        for font in FONTS_OF[script]:
            missing = np.asarray(font_size(font, 20).getmask("\uffff"))
            for letter in alphabet:
                mask = np.asarray(font_size(font, 20).getmask(letter))
                assert mask.shape != missing.shape or (mask != missing).any(), (script, font, letter)


def test_signs_are_in_their_font():
    from asl_fast.edits.compositing.emoji import FACES, SIGNS
    from asl_fast.edits.compositing.screenshot import _BUTTONS

    missing = np.asarray(font_size(0, 40).getmask("\uffff"))
    for sign in FACES + SIGNS + _BUTTONS:
        mask = np.asarray(font_size(0, 40).getmask(sign))
        assert mask.shape != missing.shape or (mask != missing).any(), sign


def test_jpeg_keeps_red_and_blue_apart(pool):
    pixels = np.full((32, 32, 3), (250, 10, 30), np.uint8)
    for kind in ("Jpeg", "Webp"):
        edited = Chain((KINDS[kind](quality=80),)).apply(pixels, pool)
        assert abs(edited.reshape(-1, 3).mean(0) - (250, 10, 30)).max() < 12


def test_compositing_kinds_are_those_that_can_hide_or_dim():
    size = (64, 48)
    for name, kind in KINDS.items():
        seen = [Chain((kind.sample(np.random.default_rng(seed), 1.0),)).trace(size) for seed in range(30)]
        if kind not in COMPOSITING:
            assert all(not trace.covers and (trace.clear == 1 or name == "Shuffle") for trace in seen), name


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


def test_first_crop_is_the_whole_photo_when_asked_for(pool):
    crops = [nested_crops(np.random.default_rng(seed), 3, whole_share=1.0)[0] for seed in range(20)]
    assert all(crop.area == 1 for crop in crops)
    assert Chain((crops[0],)).apply(photo(), pool).tobytes() == photo().tobytes()


@pytest.mark.parametrize("size", SIZES)
def test_crop_of_any_picture_keeps_at_least_a_pixel(size, pool):
    for seed in range(20):
        for crop in nested_crops(np.random.default_rng(seed), 4, least_area=0.01):
            assert min(Chain((crop,)).apply(photo(size), pool).shape) >= 1


def test_crop_takes_the_pixels_of_its_box(pool):
    pixels = photo((100, 50))
    cut = Chain((Crop(left=0.1, top=0.2, width=0.5, height=0.4),)).apply(pixels, pool)
    assert cut.tobytes() == pixels[10:30, 10:60].tobytes()


def test_wrong_crop_settings_are_refused():
    with pytest.raises(ValueError, match=r"num_crops must be 1 or more.*got 0"):
        nested_crops(np.random.default_rng(0), 0)

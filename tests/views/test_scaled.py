"""Photos decoded smaller than they are: where their pixels lie, and how little is lost."""

import io

import numpy as np
import pytest
from conftest import jpeg
from numpy.testing import assert_allclose
from PIL import Image

from asl_fast.edits import RECIPES, Chain, Crop, Fit
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.geometry import moved
from asl_fast.images import decode
from asl_fast.views import CpuExecutor, MemoryPhotos, ViewOrder
from asl_fast.views.scaled import Need, decode_scaled, edge_needed, needs_of

PERIOD_PX = 64
FLIP = Flip(upside_down=False)
HALF = Crop(left=0.3, top=0.1, width=0.5, height=0.6)
WORKING = Fit(edge_px=80, way="within")
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def waves(size, orientation):
    """Four grey JPEGs of one size that tell x and y by the phases of their waves, stored turned."""
    x_W, y_H = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    for place_HW in (x_W + 0 * y_H[:, None], y_H[:, None] + 0 * x_W):
        for wave in (np.cos, np.sin):
            level_HW = np.rint(128 + 100 * wave(place_HW * (2 * np.pi / PERIOD_PX)))
            picture = Image.fromarray(level_HW.astype(np.uint8))
            if orientation > 1:
                picture = picture.transpose(STORED[orientation])
            exif = Image.Exif()
            exif[0x0112] = orientation
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=98, exif=exif)
            yield stream.getvalue()


def place_error(made, view_px):
    """How far the photo's points are from where the trace says, for every pixel of the view that shows it."""
    level_BHW = made.pixels_BHWC[:, :, :, 0].astype(float) - 128
    centre_HW2 = np.stack(np.meshgrid(*[np.arange(view_px) + 0.5] * 2), 2)
    told_HW2 = moved(made.trace_B[0].to_photo, centre_HW2)
    phase_HW2 = np.stack([np.arctan2(level_BHW[1], level_BHW[0]), np.arctan2(level_BHW[3], level_BHW[2])], 2)
    seen_HW = made.trace_B[0].mask((view_px, view_px)) > 0.99
    off_HW2 = (phase_HW2 * (PERIOD_PX / (2 * np.pi)) - told_HW2 + PERIOD_PX / 2) % PERIOD_PX - PERIOD_PX / 2
    return abs(off_HW2)[seen_HW].max(-1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1001, 747), (1030, 1601)])
def test_traces_of_scaled_photos_are_right_to_under_a_pixel_of_the_whole_photo(size, orientation):
    for chain in (
        Chain((Fit(edge_px=90),)),
        Chain((HALF, WORKING, Rotate(degrees=20.0, fill=(0, 0, 0)), Fit(edge_px=90))),
        Chain((FLIP, Crop(left=0.4, top=0.4, width=0.6, height=0.6), Fit(edge_px=90, way="middle"))),
    ):
        encoded = list(waves(size, orientation))
        assert decode_scaled(encoded[0], needs_of([chain])).pixels.shape[0] < size[1]
        with CpuExecutor(MemoryPhotos(encoded), num_workers=0) as executor:
            made = executor.make([ViewOrder(photo, chain) for photo in range(4)])
        error = place_error(made, 90)
        assert len(error) > 1000 and np.quantile(error, 0.99) < 1, (str(chain), np.quantile(error, 0.99))
        whole = chain.trace(size)
        assert made.trace_B[0].photo_size == size
        assert_allclose(made.trace_B[0].area, whole.area, rtol=0.02)
        assert_allclose(made.trace_B[0].shown, whole.shown, rtol=0.02)


def test_views_of_scaled_photos_look_like_those_of_whole_ones():
    data = jpeg(1600, 1200, seed=1)
    for crop, fit in ((Crop(left=0.0, top=0.0, width=1.0, height=1.0), 224), (HALF, 100)):
        chain = Chain((crop, Fit(edge_px=fit)))
        with CpuExecutor(MemoryPhotos([data]), num_workers=0) as executor:
            pixels = executor.make([ViewOrder(0, chain)]).pixels_BHWC[0]
        exact = chain.apply(np.asarray(decode(data)), [])
        assert abs(pixels.astype(int) - exact).mean() < 1


def edge(*chains, size=(1000, 500)):
    return edge_needed(needs_of(chains), size)


def test_a_chain_needs_its_first_fit_in_its_crops():
    half = Crop(left=0.0, top=0.0, width=0.5, height=1.0)
    assert edge(Chain((Fit(edge_px=100),))) == 100
    assert edge(Chain((half, WORKING, Fit(edge_px=64)))) == 80
    assert edge(Chain((half, half, FLIP, Fit(edge_px=64)))) == 128
    assert edge(Chain((half, half, FLIP, Fit(edge_px=64))), size=(500, 1000)) == 256


def test_edits_before_a_fit_need_the_whole_photo():
    for edits in ((), (HALF, Rotate(degrees=20.0, fill=(0, 0, 0)), Fit(edge_px=64)), (HALF,)):
        assert needs_of([Chain((Fit(edge_px=64),)), Chain(edits)]) is None


def test_the_most_demanding_view_decides_for_its_photo():
    assert edge(*[Chain((Fit(edge_px=edge_px),)) for edge_px in (64, 100, 80)]) == 100


def test_a_photo_is_never_decoded_smaller_than_its_views_need():
    data = jpeg(1600, 1000, seed=2)
    for edge_px in (32, 100, 125, 126, 250, 251, 500, 501, 999):
        assert min(decode_scaled(data, [Need(1.0, 1.0, edge_px)]).pixels.shape[:2]) >= edge_px
    assert decode_scaled(data, [Need(1.0, 1.0, 124)]).pixels.shape == (125, 200, 3)
    assert decode_scaled(data, [Need(0.7, 1.0, 124)]).pixels.shape == (125, 200, 3)
    assert decode_scaled(data, [Need(0.6, 1.0, 124)]).pixels.shape == (250, 400, 3)
    assert decode_scaled(data, None).pixels.shape == (1000, 1600, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (33, 70)])
def test_slivers_are_decoded_whole(size):
    data = jpeg(*size, seed=0)
    chain = Chain((Fit(edge_px=4),))
    assert decode_scaled(data, needs_of([chain])).pixels.shape[1::-1] == size
    with CpuExecutor(MemoryPhotos([data]), num_workers=0) as executor:
        assert executor.make([ViewOrder(0, chain)]).trace_B[0].area == 1


def test_recipes_with_a_fit_are_decoded_scaled():
    rng = np.random.default_rng(0)
    for recipe in RECIPES.values():
        assert needs_of([recipe.sample(rng, 1.0, fit=Fit(edge_px=64))]) is not None

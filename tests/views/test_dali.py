"""DALI's pixels beside the CPU executor's, on real photos; traces, failures and order are the same.

Everything runs on DALI's CPU operators, and once more on a GPU where there is one: its kernels and decoder
round in their own ways, for which a grey level is allowed on top.
"""

import io
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

from asl_fast.edits import KINDS, RECIPES, Chain, Crop, Fit, nested_crops, render
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.geometry import box, scaling, shift, turn
from asl_fast.edits.patches import PhotoPatch, PlainPatch, SignPatch, TextPatch
from asl_fast.edits.steps import (
    AddNoise,
    Convolve,
    DrawEdges,
    Erase,
    FlattenHistogram,
    GaussianBlur,
    Lookup,
    MedianFilter,
    Mosaic,
    Onto,
    Over,
    Recolour,
    Recompress,
    Screen,
    Shade,
    ShufflePixels,
    Warp,
)
from asl_fast.images import decode, find_images
from asl_fast.views import CpuExecutor, FilePhotos, MemoryPhotos, ViewOrder, stream

pytest.importorskip("nvidia.dali", reason="DALI is not installed: pip install 'asl-fast[dali]'")
from asl_fast.views.dali import DaliExecutor
from asl_fast.views.dali.drawing import draw
from asl_fast.views.dali.lowering import lowered
from asl_fast.views.dali.photos import DevicePhotos
from asl_fast.views.dali.station import Station

EXAMPLES = Path(__file__).parents[2] / "examples" / "references"
FIT = Fit(edge_px=64)
PERSPECTIVE = np.array([[0.9, 0.1, 12], [-0.05, 0.8, 20], [3e-4, 2e-4, 1]])
ROTATED = shift(40, -20) @ turn(17) @ scaling(0.9, 0.8)
WORDS = TextPatch("Copy, ça?", 1, 40, (250, 240, 20), outline=(0, 0, 90))
SIGN = SignPatch("☃", (90, 60, 30), (255, 220, 80))
TRIANGLE = np.array([[20.3, 30.2], [150.8, 60.1], [70.5, 170.9]])
SQUARE = np.array([[100, 10], [140, 10], [140, 50], [100, 50]], float)
COLOURS = np.array([[0.9, 0.2, 0, -10], [0.1, 1.1, -0.2, 5], [0, 0.3, 0.6, 20]], np.float32)
TABLE = np.random.default_rng(3).integers(0, 256, (256, 3), np.uint8)
TILE = np.random.default_rng(4).random((4, 6), np.float32)
SHARPER = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)
STREAK = np.zeros((7, 7), np.float32)
STREAK[3, 1:] = 1 / 6
GAINS = np.array([[0.3, 1.2], [1.0, 0.6], [0.8, 1.5]], np.float32)
BLACK, RED = (0, 0, 0), (200, 30, 40)

# Steps, and the largest mean and 99th percentile of the difference in grey levels (docs/dali.md).
AGREE = {
    "crop": ([Warp(shift(-30, -40), (120, 100))], 0, 0),
    "frame": ([Warp(shift(9, 30), (300, 280), RED)], 0, 0),
    "mirror": ([Warp(np.array([[-1, 0, 192], [0, 1, 0], [0, 0, 1.0]]), (192, 192))], 0.02, 1),
    "quarter turn": ([Warp(shift(0, 192) @ turn(90), (192, 192))], 0.02, 1),
    "shrink a little": ([Warp(scaling(0.7, 0.9), (134, 173))], 0.05, 1),
    "shrink much": ([Warp(scaling(0.2, 0.3), (38, 58))], 1, 6),
    "enlarge": ([Warp(scaling(1.5, 1.3), (288, 250))], 0.05, 1),
    "affine": ([Warp(ROTATED, (230, 200))], 0.1, 1),
    "affine, coloured fill": ([Warp(ROTATED, (230, 200), RED)], 0.1, 1),
    "affine, shrunk": ([Warp(ROTATED @ scaling(0.4, 0.4), (230, 200), RED)], 0.1, 1),
    "perspective": ([Warp(PERSPECTIVE, (230, 200))], 0.1, 1),
    "perspective, coloured fill": ([Warp(PERSPECTIVE, (230, 200), RED)], 0.1, 1),
    "onto a photo": ([Onto(PhotoPatch(0.3), ROTATED, (300, 250))], 0.2, 1),
    "onto a photo, see-through": ([Onto(PhotoPatch(0.6), np.eye(3), (192, 192), 0.7)], 0.1, 1),
    "onto a colour": ([Onto(PlainPatch(RED), ROTATED, (300, 250))], 0.1, 1),
    "photo over": ([Over(PhotoPatch(0.9), box(30, 40, 90, 70) @ turn(-5), 0.8)], 0.1, 1),
    "text over": ([Over(WORDS, box(10, 40, 170, 50))], 0.1, 1),
    "text over, see-through": ([Over(WORDS, shift(30, 60) @ turn(20) @ scaling(120, 30), 0.6)], 0.1, 1),
    "sign over": ([Over(SIGN, box(100, 90, 80, 80))], 0.1, 1),
    "off the picture": ([Over(SIGN, box(-300, 90, 80, 80))], 0, 0),
    "erase": ([Erase((TRIANGLE, SQUARE), RED)], 0, 0),
    "erase nothing": ([Erase(())], 0, 0),
    "erase with noise": ([Erase((TRIANGLE,), noise_seed=5)], 0, 0),
    "recolour": ([Recolour(COLOURS)], 0.15, 1),
    "table": ([Lookup(TABLE[:, 0].copy())], 0, 0),
    "table for each channel": ([Lookup(TABLE)], 0, 0),
    "flatten": ([FlattenHistogram(1.0)], 0.1, 1),
    "flatten a little": ([FlattenHistogram(0.4)], 0.1, 1),
    "least blur": ([GaussianBlur(0.05)], 0, 0),
    "blur": ([GaussianBlur(1.3)], 1.2, 9),
    "strong blur": ([GaussianBlur(7.0)], 1.2, 8),
    "sharpen": ([Convolve(SHARPER)], 0.05, 1),
    "motion": ([Convolve(STREAK)], 0.05, 1),
    "median": ([MedianFilter(3)], 0, 0),
    "wide median": ([MedianFilter(11)], 0.4, 2),
    "mosaic": ([Mosaic((23, 17))], 1.2, 6),
    "jpeg": ([Recompress("jpeg", 12)], 0.05, 1),
    "webp": ([Recompress("webp", 30)], 0, 0),
    "shade": ([Shade(GAINS)], 0.25, 1),
    "screen": ([Screen(TILE, 4, False)], 0.05, 1),
    "grey screen": ([Screen(TILE, 2, True)], 0.05, 1),
    "edges": ([DrawEdges("canny", 1.0, 0.2, 0.5, 2, BLACK, RED)], 0, 0),
    "three steps": ([GaussianBlur(0.8), Warp(scaling(0.5, 0.7), (96, 134)), Recolour(COLOURS)], 0.4, 2),
}
RANDOM = (AddNoise, ShufflePixels)


@pytest.fixture(scope="module")
def files():
    return FilePhotos(find_images(EXAMPLES))


@pytest.fixture(scope="module")
def photos(files):
    """Squares, so that one step does for all: six photos in 192 x 192."""
    return [np.ascontiguousarray(np.asarray(decode(files.data(n)))[:192, :192]) for n in range(6)]


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return request.param


@pytest.fixture(scope="module")
def slack(device):
    """Grey levels that a GPU's roundings may add to a mean."""
    return 0.0 if device == "cpu" else 1.0


@pytest.fixture(scope="module")
def station(device):
    return Station(device, 2)


@pytest.fixture(scope="module")
def executor(files, device):
    executor = DaliExecutor(files, device=device, num_threads=2)
    yield executor
    executor.close()


def drawn(station, pictures, steps, pool):
    """Each picture after its own steps, by DALI."""
    with station.working():
        patches = {
            step.patch.other for some in steps for step in some if isinstance(patch_of(step), PhotoPatch)
        }
        others = {other: station.sent([pool[int(other * len(pool))]])[0] for other in patches}
        operations = [
            lowered(some, (one.shape[1], one.shape[0])) for one, some in zip(pictures, steps, strict=True)
        ]
        return [
            np.array(one)
            for one in station.on_host(draw(station.sent(pictures), operations, station, others))
        ]


def patch_of(step):
    return getattr(step, "patch", None)


def pixels_of(made):
    return made.pixels_BHWC.cpu().numpy()


def difference(ours, theirs):
    assert [one.shape for one in ours] == [one.shape for one in theirs]
    return np.concatenate(
        [abs(one.astype(int) - other).ravel() for one, other in zip(ours, theirs, strict=True)]
    )


def orders_of(recipe, num_photos, num_views, seed, without=()):
    rng = np.random.default_rng(seed)
    orders = []
    while len(orders) < num_views:
        chain = RECIPES[recipe].sample(rng, fit=Fit(edge_px=96))
        if not any(isinstance(step, without) for step in chain.steps((256, 192))):
            orders.append(ViewOrder(int(rng.integers(num_photos)), chain))
    return orders


def packed(pixels, kind="JPEG", **how):
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(stream, kind, **how)
    return stream.getvalue()


@pytest.mark.parametrize("name", AGREE)
def test_a_step_gives_the_cpu_executors_pixels(station, photos, name, slack):
    steps, largest_mean, largest_p99 = AGREE[name]
    ours = drawn(station, photos, [steps] * len(photos), photos)
    apart = difference(ours, [render(steps, one, photos) for one in photos])
    assert apart.mean() <= largest_mean + slack and np.percentile(apart, 99) <= largest_p99 + 3 * slack


@pytest.mark.parametrize(("sigma", "largest_mean"), [(0.4, 0.05), (1.3, 0.1), (3.9, 0.1), (9.0, 0.3)])
def test_a_blur_is_gaussian(station, photos, sigma, largest_mean, slack):
    """The CPU executor's is only nearly so."""
    ours = drawn(station, photos, [[GaussianBlur(sigma)]] * len(photos), [])
    border = cv2.BORDER_REFLECT_101
    apart = difference(ours, [cv2.GaussianBlur(one, (0, 0), sigma, borderType=border) for one in photos])
    assert apart.mean() <= largest_mean + slack


def test_every_kind_of_step_is_compared():
    compared = {type(step) for steps, _, _ in AGREE.values() for step in steps} | set(RANDOM)
    assert len(compared) == 17


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_an_edit_works_on_pictures_of_any_size(station, photos, kind, slack):
    rng = np.random.default_rng(7)
    sizes = [(1, 1), (1, 9), (11, 1), (5, 4), (192, 150)]
    pictures = [rng.integers(0, 256, (height, width, 3), np.uint8) for width, height in sizes[:-1]]
    pictures.append(np.ascontiguousarray(photos[0][:150]))
    chains = [Chain((kind.sample(rng, 0.7),)) for _ in pictures]
    steps = [chain.steps(size) for chain, size in zip(chains, sizes, strict=True)]
    ours = drawn(station, pictures, steps, photos)
    theirs = [chain.apply(one, photos) for chain, one in zip(chains, pictures, strict=True)]
    apart = difference(ours, theirs)
    if not any(isinstance(step, RANDOM) for some in steps for step in some):
        assert apart.mean() <= 0.5 + slack


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_gives_the_views_and_traces_of_its_chains(files, executor, recipe, slack):
    """Drawn on the CPU on whole photos: the CPU executor decodes them at the scale that is needed."""
    orders = orders_of(recipe, len(files), 24, seed=11, without=RANDOM)
    made = executor.make(orders)
    whole = [np.asarray(decode(files.data(number))) for number in range(len(files))]
    views = [order.chain.view(whole[order.photo], whole) for order in orders]
    assert made.photo_B.tolist() == [order.photo for order in orders]
    apart_BN = difference(pixels_of(made), [view.pixels for view in views]).reshape(len(orders), -1)
    most = 5 if recipe == "poor" else 3  # the worst quality rounds small differences to whole steps
    assert np.median(apart_BN.mean(1)) <= 1 + slack and apart_BN.mean(1).max() <= most + slack
    for one, view in zip(made.trace_B, views, strict=True):
        other = view.trace
        assert_array_equal(one.matrix, other.matrix)
        assert_array_equal(one.region, other.region)
        assert (one.photo_size, one.view_size, one.clear) == (other.photo_size, other.view_size, other.clear)


def test_noise_has_its_strength_and_no_pattern(station):
    grey = [np.full((200, 200, 3), 128, np.uint8)] * 2
    steps = [[AddNoise(1, sigma=12.0)], [AddNoise(2, salt_share=0.1)]]
    noisy, salted = drawn(station, grey, steps, [])
    noise = noisy.astype(float) - 128
    assert abs(noise.mean()) < 0.2 and abs(noise.std() - 12) < 0.2
    assert abs(np.corrcoef(noise[:, :, 0].ravel(), noise[:, :, 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 0.02
    changed_HW = (salted != 128).all(2)
    assert abs(changed_HW.mean() - (1 - np.exp(-0.1))) < 0.01  # places are drawn with repetition
    assert set(np.unique(salted[changed_HW])) == {0, 255} and (salted[~changed_HW] == 128).all()
    assert abs((salted[changed_HW] == 255).mean() - 0.5) < 0.05


def test_shuffled_pixels_are_the_same_pixels(station, photos):
    (shuffled,) = drawn(station, photos[:1], [[ShufflePixels(3, 0.3)]], [])
    colour = np.array([1 << 16, 1 << 8, 1])
    assert_array_equal(np.sort((shuffled @ colour).ravel()), np.sort((photos[0] @ colour).ravel()))
    ramp = np.arange(1 << 14).reshape(128, 128, 1) // (1 << np.array([14, 7, 0])) % 128
    (moved,) = drawn(station, [ramp.astype(np.uint8)], [[ShufflePixels(4, 0.3)]], [])
    assert abs((moved != ramp).any(2).mean() - 0.3) < 0.01


def test_a_view_is_the_same_alone_in_any_batch_and_again(files, executor, device):
    orders = orders_of("disc", len(files), 6, seed=5)
    made = pixels_of(executor.make(orders)).copy()
    assert_array_equal(pixels_of(executor.make(orders)), made)
    assert_array_equal(pixels_of(executor.make(orders[::-1])), made[::-1])
    alone = np.concatenate([pixels_of(executor.make([order])) for order in orders])
    assert_array_equal(alone, made)
    other = DaliExecutor(files, device=device, num_threads=1)
    assert_array_equal(pixels_of(other.make(orders)), made)
    other.close()


def test_another_seed_gives_other_noise(station, photos):
    one, same, other = drawn(station, [photos[0]] * 3, [[AddNoise(seed, 9.0)] for seed in (1, 1, 2)], [])
    assert_array_equal(one, same)
    assert (one != other).mean() > 0.5


def test_a_crop_in_the_decoder_is_a_crop_of_the_picture(executor, device):
    order = ViewOrder(1, Chain((Crop(left=0.21, top=0.33, width=0.5, height=0.4), FIT)))
    alone, twice = executor.make([order]), executor.make([order, ViewOrder(1, Chain((FIT,)))])
    apart = difference(pixels_of(alone)[:1], pixels_of(twice)[:1])
    assert apart.max() <= (0 if device == "cpu" else 2)  # nvJPEG enlarges colours at the part's border


def test_photos_are_decoded_once_for_all_views_of_a_batch(files, executor, monkeypatch):
    decoded, wanted = DevicePhotos.decoded, []
    monkeypatch.setattr(
        DevicePhotos, "decoded", lambda self, some: wanted.extend(some) or decoded(self, some)
    )
    crops = nested_crops(np.random.default_rng(0), 3, whole_share=0)
    executor.make([ViewOrder(5, Chain((crop, FIT))) for crop in crops])
    assert wanted == [(5, None)]
    executor.make([ViewOrder(5, Chain((crops[0], FIT)))])
    assert wanted[1:] and wanted[1].part is not None


def test_all_formats_and_orientations_go_through(photos, device, slack):
    photo = Image.fromarray(photos[0][:150])
    exif = Image.Exif()
    exif[0x112] = 6
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    rgba = photo.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(photo.size))
    encoded = [
        packed(photo, exif=exif, quality=95),
        packed(photo, progressive=True),
        packed(photo.convert("L")),
        packed(photo.convert("CMYK")),
        packed(rgba, "PNG"),
        packed(deep, "PNG"),
        packed(photo.convert("P"), "GIF"),
        packed(photo, "WEBP"),
        packed(photo, "TIFF"),
        packed(photo, "PNG", exif=exif),
    ]
    half = Crop(left=0.1, top=0.2, width=0.5, height=0.6)
    orders = [ViewOrder(number, Chain((half, FIT))) for number in range(len(encoded))]
    source = MemoryPhotos(encoded)
    executor = DaliExecutor(source, device=device, num_threads=1)
    ours, theirs = executor.make(orders), CpuExecutor(source, num_workers=0).make(orders)
    executor.close()
    assert ours.failures == () and ours.trace_B[0].photo_size == (150, 192)
    assert (
        difference(pixels_of(ours), theirs.pixels_BHWC).reshape(len(orders), -1).mean(1).max() <= 0.3 + slack
    )


def broken_source(photos):
    """1 is cut off. 4, too, but it has an end mark and is forgiven. 6 has a broken table."""
    whole = [packed(one, quality=90) for one in photos]
    half = whole[3][: len(whole[3]) // 2] + b"\xff\xd9"
    counts = whole[4].find(b"\xff\xc4") + 5
    no_table = whole[4][:counts] + 16 * b"\xff" + whole[4][counts + 16 :]
    return MemoryPhotos([whole[0], whole[1][:2000], b"no photo", whole[2], half, b"", no_table])


def test_broken_photos_are_replaced_as_the_cpu_executor_does_and_told_once(photos, device, slack):
    source = broken_source(photos)
    orders = [ViewOrder(number, Chain((FIT,))) for number in (0, 1, 3, 2, 5, 4, 6)]
    executor = DaliExecutor(source, device=device, num_threads=2)
    ours, theirs = executor.make(orders), CpuExecutor(source, num_workers=0).make(orders)
    assert ours.photo_B.tolist() == theirs.photo_B.tolist()
    assert ours.photo_B.tolist() == [0, 3, 3, 3, 0, 4, 0]
    assert sorted(one.id for one in ours.failures) == sorted(one.id for one in theirs.failures)
    assert {one.id: one.reason for one in ours.failures} == {one.id: one.reason for one in theirs.failures}
    forgiven = Chain((FIT,)).apply(np.asarray(decode(source.data(4))), [])
    assert difference(pixels_of(ours)[5:6], [forgiven]).mean() <= 1 + slack
    assert executor.make(orders).failures == ()
    executor.close()


def test_a_broken_photo_that_is_pasted_is_replaced_too(photos, device, slack):
    source = broken_source(photos)
    chain = Chain((Paste(other=0.2, edge_share=0.5, left=0.5, top=0.5), FIT))
    executor = DaliExecutor(source, device=device, num_threads=2)
    made = executor.make([ViewOrder(0, chain)])
    want = CpuExecutor(source, num_workers=0).make([ViewOrder(0, chain)])
    executor.close()
    assert made.photo_B.tolist() == [0] and [one.id for one in made.failures] == ["1", "2"]
    assert difference(pixels_of(made), want.pixels_BHWC).mean() <= 1 + slack


def test_only_broken_photos_are_one_clear_error(device):
    executor = DaliExecutor(MemoryPhotos([b"", b"GIF89a"]), device=device, num_threads=1)
    with pytest.raises(
        ValueError, match="none of 2 photos can be decoded; photo 0: photo 0 in memory: empty file"
    ):
        executor.make([ViewOrder(0, Chain((FIT,)))])
    executor.close()


def test_no_photos_and_no_orders(executor, device):
    with pytest.raises(ValueError, match="holds no photos"):
        DaliExecutor(MemoryPhotos([]), device=device)
    made = executor.make([])
    assert len(made.pixels_BHWC) == 0 and made.trace_B == ()
    with pytest.raises(ValueError, match="must end with a Fit"):
        executor.make([ViewOrder(0, Chain())])


def test_a_stream_gives_batches_in_order_and_ends_cleanly(files, executor):
    batches = [orders_of("common", len(files), 3, seed) for seed in range(4)]
    before = threading.active_count()
    for made, orders in zip(stream(executor, batches, ahead=2), batches, strict=True):
        assert_array_equal(pixels_of(made), pixels_of(executor.make(orders)))
    assert threading.active_count() <= before


def test_views_outlive_later_batches_and_the_executor(files, device):
    executor = DaliExecutor(files, device=device, num_threads=1)
    first = executor.make(orders_of("bot", len(files), 4, seed=1))
    kept = pixels_of(first).copy()
    for seed in range(2, 6):
        executor.make(orders_of("bot", len(files), 4, seed))
    executor.close()
    del executor
    assert_array_equal(pixels_of(first), kept)


def test_the_calls_of_a_batch_hardly_grow_with_it(files, executor, monkeypatch):
    from asl_fast.views.dali import drawing

    rounds, chosen = [], drawing._next_kind
    monkeypatch.setattr(drawing, "_next_kind", lambda *what: rounds.append(1) or chosen(*what))
    executor.make(orders_of("bot", len(files), 8, seed=1))
    few = len(rounds)
    executor.make(orders_of("bot", len(files), 64, seed=1))
    assert len(rounds) - few < 2 * few

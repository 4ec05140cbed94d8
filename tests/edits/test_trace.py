"""Traces against the truth: pictures that carry their coordinates through the real executor."""

import cv2
import numpy as np
import pytest
from coarse_photo import photo
from coordinate_oracle import SIZE, pixel_centres, truth_of

from asl_fast.edits import COMPOSITING, GEOMETRIC, KINDS, PHOTOMETRIC, RECIPES, Alignment, Chain, Crop, Fit
from asl_fast.edits.geometry import moved

MOVING = [kind.__name__ for kind in (*GEOMETRIC, *COMPOSITING)]


def chain_of(*kinds, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    return Chain(tuple(KINDS[kind].sample(rng, strength) for kind in kinds))


def random_chain(seed):
    """Two to six edits that move or hide pixels."""
    rng = np.random.default_rng(seed)
    picked = rng.choice(MOVING, rng.integers(2, 7))
    return Chain(tuple(KINDS[kind].sample(rng, 0.7) for kind in picked))


def check_against_truth(chain, pool):
    """(share of seen pixels placed within one pixel, share of all pixels rightly called hidden or seen)."""
    trace = chain.trace(SIZE)
    truth = truth_of(chain, pool)
    assert truth.seen_HW.shape == trace.view_size[::-1]
    seen = truth.seen_HW > 0.99
    error = abs(moved(trace.to_photo, pixel_centres(trace.view_size)) - truth.photo_HW2)[seen].max(-1)
    mask_HW = trace.mask(trace.view_size)
    right = (mask_HW > 0.5) == (truth.seen_HW > 0.5)
    return (error < 1).mean() if seen.any() else 1.0, right.mean()


@pytest.mark.parametrize("kind", MOVING)
def test_every_kind_is_traced_to_the_pixel(kind, pool):
    for seed in range(6):
        placed, right = check_against_truth(chain_of(kind, seed=seed), pool)
        assert placed >= 0.99 and right >= 0.99, (seed, placed, right)


def test_random_chains_are_traced_to_the_pixel(pool):
    for seed in range(60):
        chain = random_chain(seed)
        placed, right = check_against_truth(chain, pool)
        assert placed >= 0.99 and right >= 0.99, (str(chain), placed, right)


@pytest.mark.parametrize("kind", [kind.__name__ for kind in PHOTOMETRIC])
def test_photometric_edits_leave_content_where_it_was(kind, pool):
    grey = cv2.resize(
        cv2.cvtColor(photo((24, 18), 5), cv2.COLOR_RGB2GRAY), SIZE, interpolation=cv2.INTER_CUBIC
    )
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for seed in range(4):
        view = chain_of(kind, seed=seed, strength=0.7).view(picture, pool)
        assert (view.trace.matrix == np.eye(3)).all() and view.trace.area == 1
        edited = cv2.cvtColor(view.pixels, cv2.COLOR_RGB2GRAY)
        if kind == "LineDrawing":  # lines lie where the picture is steep
            axes = (cv2.Sobel(grey, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
            edited = cv2.GaussianBlur(abs(edited.astype(np.float32) - view.pixels[0, 0, 0]), (0, 0), 3)
            shift, _ = cv2.phaseCorrelate(np.hypot(*axes), edited)
            assert np.hypot(*shift) < 2, (seed, shift)
            continue
        shift, _ = cv2.phaseCorrelate(np.float32(grey), np.float32(edited))
        assert np.hypot(*shift) < 1, (seed, shift)


def test_shuffled_pixels_dim_the_trace_by_their_share(pool):
    numbered = np.arange(SIZE[0] * SIZE[1], dtype=np.uint32)
    picture = np.stack([numbered >> shift & 255 for shift in (0, 8, 16)], 1).astype(np.uint8)
    picture = picture.reshape(SIZE[1], SIZE[0], 3)
    chain = Chain((KINDS["Shuffle"](share=0.3, seed=4),))
    view = chain.view(picture, pool)
    assert (view.pixels == picture).all(2).mean() == pytest.approx(0.7, abs=0.02)
    assert view.trace.clear == view.trace.visible == pytest.approx(0.7)
    assert sorted(view.pixels.reshape(-1, 3).tolist()) == sorted(picture.reshape(-1, 3).tolist())


def test_underlaid_photo_dims_the_trace_by_its_share(pool):
    chain = chain_of("Underlay", seed=3)
    assert truth_of(chain, pool).seen_HW.mean() == pytest.approx(chain.trace(SIZE).visible, abs=0.004)


def test_identity_chain_has_the_identity_trace(pool):
    for chain in (Chain(), chain_of("Jpeg", "Colour", "Blur")):
        trace = chain.trace(SIZE)
        assert (
            trace.matrix == np.eye(3)
        ).all() and trace.area == trace.visible == trace.content == trace.shown == 1
        assert (trace.mask() == 1).all() and not trace.covers
        assert trace.region.tolist() == [[0, 0], [200, 0], [200, 150], [0, 150]]


def test_content_is_what_is_left_of_the_photo(pool):
    for seed in range(40):
        chain = random_chain(seed)
        trace = chain.trace(SIZE)
        seen_HW = truth_of(chain, pool).seen_HW
        centre = pixel_centres(trace.view_size)
        scale_HW = trace.to_photo[2, 0] * centre[..., 0] + trace.to_photo[2, 1] * centre[..., 1]
        photo_px_HW = abs(np.linalg.det(trace.to_photo)) / abs(scale_HW + trace.to_photo[2, 2]) ** 3
        left = (seen_HW * photo_px_HW).sum() / (SIZE[0] * SIZE[1])
        assert trace.content == pytest.approx(left, abs=0.015), str(chain)


def test_bound_of_what_is_visible_is_below_it():
    seen = []
    for seed in range(200):
        trace = RECIPES["common"].sample(np.random.default_rng(seed), fit=Fit(edge_px=224)).trace(SIZE)
        assert trace.least_visible <= trace.visible + 1e-3
        seen.append(trace.least_visible > 0.9 * trace.visible)
    assert np.mean(seen) > 0.6


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "poor"])  # which hides nothing
def test_visible_share_is_that_of_a_fine_mask(name):
    checked = 0
    for seed in range(150):
        chain = RECIPES[name].sample(np.random.default_rng(seed), fit=Fit(edge_px=224), size=SIZE)
        trace = chain.trace(SIZE)
        if trace.covers and trace.shown > 0.03:
            x, y = pixel_centres((112, 112)).transpose(2, 0, 1) * 2
            inverse = trace.to_photo
            weight_HW = abs(inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]) ** -3
            shows_HW, covers_HW = trace.mask((112, 112)), trace.coverage((112, 112))
            counted = (shows_HW * weight_HW).sum() / (covers_HW * weight_HW).sum()
            coarse = max(1, 0.5 / trace.shown**0.5)  # a small photo has few cells, and most lie on a border
            assert trace.visible == pytest.approx(counted, abs=0.012 * coarse), str(chain)
            checked += 1
    assert checked > 10


def test_covers_that_overlap_hide_what_they_share_once(pool):
    boxes = ((0.1, 0.1, 0.5, 0.5), (0.3, 0.3, 0.5, 0.5), (0.2, 0.0, 0.3, 0.9), (0.3, 0.3, 0.5, 0.5))
    for number in range(1, 5):
        erasing = KINDS["Erasing"](boxes=boxes[:number], fill=(0, 0, 0), noise=False, seed=0)
        chain = Chain((erasing, KINDS["Overlay"](
            other=0.1, edge_share=0.4, left=0.5, top=0.5, opacity=0.5, degrees=0.0
        )))  # fmt: skip
        seen = truth_of(chain, pool).seen_HW.mean()
        assert chain.trace(SIZE).visible == pytest.approx(seen, abs=0.003), number


def test_many_covers_are_counted_on_a_mask(pool):
    rng = np.random.default_rng(3)
    boxes = tuple((x, y, 0.2, 0.2) for x, y in (0.8 * rng.random((12, 2))).tolist())
    chain = Chain((KINDS["Erasing"](boxes=boxes, fill=(0, 0, 0), noise=False, seed=0),))
    assert chain.trace(SIZE).visible == pytest.approx(truth_of(chain, pool).seen_HW.mean(), abs=0.02)


def test_points_of_one_view_lie_on_the_same_content_in_the_other(pool):
    checked = 0
    for seed in range(25):
        chains = random_chain(seed), random_chain(seed + 1000)
        for a, b in (chains, chains[::-1]):
            traces, truths = (
                [chain.trace(SIZE) for chain in (a, b)],
                [truth_of(chain, pool) for chain in (a, b)],
            )
            centre_N2 = pixel_centres(traces[0].view_size).reshape(-1, 2)
            there_N2 = Alignment(*traces).points(centre_N2)
            seen_N = (truths[0].seen_HW.ravel() > 0.99) & np.isfinite(there_N2).all(1)
            seen_N &= np.random.default_rng(seed).random(len(seen_N)) < 20_000 / len(seen_N)
            if not seen_N.any():
                continue
            there_N2, here_N2 = there_N2[seen_N], truths[0].photo_HW2.reshape(-1, 2)[seen_N]
            x, y = (there_N2 - 0.5).astype(np.float32).T
            found_N2, found_seen_N = (
                cv2.remap(
                    np.float32(values), x[:, None], y[:, None], cv2.INTER_LINEAR, borderValue=0
                ).squeeze(1)
                for values in (
                    np.nan_to_num(truths[1].photo_HW2, nan=-9e9, posinf=-9e9, neginf=-9e9),
                    truths[1].seen_HW,
                )
            )
            both_N = found_seen_N > 0.99
            checked += both_N.sum()
            if both_N.sum() > 50:
                error_N = abs(found_N2 - here_N2)[both_N].max(1)
                assert (error_N < 1.5).mean() >= 0.99, (str(a), str(b))  # a rounded level in each view
    assert checked > 50_000


def test_patch_pairs_are_the_shares_that_counting_points_finds():
    patches, fine = (7, 5), 24
    for seed in range(40):
        a, b = (random_chain(seed + start).trace(SIZE) for start in (0, 1000))
        alignment = Alignment(a, b)
        pairs = alignment.patch_pairs(patches)
        point_N2 = (pixel_centres((fine * patches[0], fine * patches[1])) / fine / patches).reshape(-1, 2)
        there_N2 = alignment.points(point_N2 * a.view_size)
        found_N = np.isfinite(there_N2).all(1)
        number_N = [
            (places_N2[found_N] * patches).astype(int) @ (1, patches[0])
            for places_N2 in (point_N2, there_N2 / b.view_size)
        ]
        counted, told = np.zeros((2, patches[0] * patches[1], patches[0] * patches[1]))
        np.add.at(counted, tuple(number_N), 1 / fine**2)
        told[pairs.a_M, pairs.b_M] = pairs.share_M
        assert abs(counted - told).max() < 0.07 and abs(counted - told).mean() < 0.002, seed
        assert (pairs.visible_M <= pairs.share_M + 1e-6).all() and told.sum(1).max() <= 1 + 1e-9
        order_M = pairs.a_M * 1000 + pairs.b_M
        assert (np.diff(order_M) > 0).all()


def test_patch_pairs_of_a_view_with_itself_are_the_diagonal():
    trace = Chain((Fit(edge_px=224),)).trace(SIZE)
    pairs = Alignment(trace, trace).patch_pairs((14, 14))
    assert pairs.a_M.tolist() == pairs.b_M.tolist() == list(range(196))
    assert pairs.share_M == pytest.approx(np.ones(196))


def test_boxes_hold_the_common_part_and_nothing_else():
    left, right = (Chain((Crop(left=start, top=0, width=0.6, height=1),)).trace(SIZE) for start in (0, 0.4))
    alignment = Alignment(left, right)
    box_a, box_b = alignment.boxes
    assert box_a.tolist() == [80, 0, 120, 150] and box_b.tolist() == [0, 0, 40, 150]
    assert alignment.overlap == pytest.approx(0.2)


def test_views_without_common_content_have_no_pairs():
    left, right = (Chain((Crop(left=start, top=0, width=0.3, height=1),)).trace(SIZE) for start in (0, 0.6))
    alignment = Alignment(left, right)
    assert alignment.boxes is None and alignment.overlap == 0 and len(alignment.patch_pairs((4, 4)).a_M) == 0
    assert np.isnan(alignment.points(np.array([[5.0, 5.0]]))).all()


def test_views_of_two_photos_are_not_aligned():
    with pytest.raises(ValueError, match=r"must be of one photo, got photos of \(200, 150\) and \(9, 9\)"):
        Alignment(Chain().trace(SIZE), Chain().trace((9, 9)))


# The four faults of the published tracker (PixTrace): each a test.


def test_trace_of_a_large_photo_is_small():
    for seed in range(30):
        trace = RECIPES["disc"].sample(np.random.default_rng(seed), fit=Fit(edge_px=224)).trace((4000, 3000))
        polygons = [cover.shape for cover in trace.covers if isinstance(cover.shape, np.ndarray)]
        held = trace.matrix.nbytes + trace.region.nbytes + sum(p.nbytes + 72 for p in polygons)
        assert held + trace.mask().nbytes < 8_000


def test_places_are_not_rounded_to_one_side(pool):
    for kinds in (("Fit",), ("Rotate",), ("Affine",), ("Perspective",), ("Crop", "Rotate", "Fit")):
        chain = chain_of(*kinds, seed=2, strength=0.8)
        trace, truth = chain.trace(SIZE), truth_of(chain, pool)
        error = (moved(trace.to_photo, pixel_centres(trace.view_size)) - truth.photo_HW2)[
            truth.seen_HW > 0.99
        ]
        assert abs(error.mean(0)).max() < 0.03, kinds


def test_enlarged_view_has_no_holes():
    small = Chain((Crop(left=0.3, top=0.3, width=0.2, height=0.2), Fit(edge_px=448))).trace(SIZE)
    whole = Chain((Fit(edge_px=448),)).trace(SIZE)
    inside_N2 = pixel_centres((448, 448)).reshape(-1, 2)
    assert np.isfinite(Alignment(small, whole).points(inside_N2)).all()
    share_P = np.zeros(28 * 28)
    pairs = Alignment(small, whole).patch_pairs((28, 28))
    np.add.at(share_P, pairs.a_M, pairs.share_M)
    assert share_P == pytest.approx(np.ones(28 * 28))
    back = Alignment(whole, small).patch_pairs((28, 28))
    assert back.share_M.sum() == pytest.approx(28 * 28 * 0.04, rel=1e-6)


def test_what_is_pasted_over_counts_as_hidden(pool):
    for kind in ("Stripe", "Erasing", "Shapes", "Overlay", "Emoji", "Meme", "Caption"):
        hidden = []
        for seed in range(12):
            chain = chain_of(kind, seed=seed)
            trace = chain.trace(SIZE)
            hidden.append(1 - trace.visible)
            cells = (25, 19)
            seen_HW = truth_of(chain, pool).seen_HW.astype(np.float32)
            truth = cv2.resize(seen_HW, cells, interpolation=cv2.INTER_AREA)
            assert (abs(trace.mask(cells) - truth) < 0.2).mean() >= 0.99
            assert abs(trace.mask(cells) - truth).mean() < 0.02
        assert max(hidden) > 0.02, kind

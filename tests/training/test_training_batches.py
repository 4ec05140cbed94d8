"""The batch of a step: who is in it, what its views say of one another, and what lies over what."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as fewer
from hypothesis import strategies as st
from training_batches import batch_of, photo_set, views_of

from asl_fast.edits import KINDS, Chain
from asl_fast.edits.patches import PhotoPatch
from asl_fast.edits.steps import Onto, Over
from asl_fast.images import find_images
from asl_fast.kernels.cosface_ratio.reference import cosface_norm_ratio_reference
from asl_fast.losses import AslLoss, LossSettings
from asl_fast.training import PairSettings, TrainSettings
from asl_fast.training.photo_set import Pair, subset
from asl_fast.training.photos import read_photos
from asl_fast.training.pool import kept_apart
from asl_fast.views import CpuExecutor, FilePhotos, MemoryPhotos

# Photos 16 to 19 come in pairs only.
PAIRS = (Pair(16, 17, 1), Pair(18, 19, -1), Pair(0, 18, 0))
SETTINGS = TrainSettings(num_steps=9, num_identities=8, num_views=4, least_area=0.1, pairs=PairSettings())


@pytest.fixture(scope="module")
def photos(photo_folder):
    return read_photos(find_images(photo_folder), 64, num_threads=2, progress=False)[0]


@pytest.fixture(scope="module")
def executor(photos):
    with CpuExecutor(FilePhotos(photos.files), num_workers=0) as executor:
        yield executor


def with_pairs(**change):
    return dataclasses.replace(SETTINGS, pairs=PairSettings(**change))


def pair_batch(photos, executor, settings=SETTINGS, step=0, seed=0, pairs=PAIRS):
    return batch_of(photos, settings, step, seed, executor, pairs=pairs, num_single=16)


def photos_of(plan, num_views=4):
    numbers = [order.photo for order in plan.orders]
    assert numbers == [number for number in numbers[::num_views] for _ in range(num_views)]
    return numbers[::num_views]


def same(one, other):
    assert torch.equal(one.pixels_BCHW, other.pixels_BCHW) and torch.equal(one.label_B, other.label_B)
    assert torch.equal(one.over_P2, other.over_P2) and torch.equal(one.even_E2, other.even_E2)


def test_batch_depends_on_seed_and_step_alone(photos, executor):
    views = views_of(photos, SETTINGS, 4, PAIRS, 16)
    for step, batch in enumerate(views.batches(executor, 2, 6), 2):
        same(batch, pair_batch(photos, executor, step=step, seed=4))
    assert step == 5
    other = pair_batch(photos, executor, step=5, seed=5)
    assert not torch.equal(other.pixels_BCHW, batch.pixels_BCHW)


def test_worker_processes_make_the_same_batch(photos, executor):
    with CpuExecutor(FilePhotos(photos.files), num_workers=1) as workers:
        same(pair_batch(photos, executor, step=3), pair_batch(photos, workers, step=3))


def test_other_seed_cuts_the_same_photo_elsewhere(photos):
    one, other = (views_of(photos.subset([0]), SETTINGS, seed).plan(0) for seed in (4, 5))
    assert set(photos_of(one)) == set(photos_of(other)) == {0}
    assert not np.array_equal(one.area_B, other.area_B)


def test_every_photo_has_its_turn_before_any_comes_again(photos):
    views = views_of(photos, SETTINGS)
    drawn = [number for step in range(5) for number in photos_of(views.plan(step))]  # 5 x 8 = 2 x 20
    assert sorted(drawn[:20]) == sorted(drawn[20:]) == list(range(20))
    assert drawn[:20] != drawn[20:]


def test_views_of_a_photo_fall_in_area_and_share_a_nest(photos, executor):
    batch = batch_of(photos, SETTINGS, executor=executor)
    assert batch.pixels_BCHW.shape == (32, 3, 32, 32) and batch.pixels_BCHW.dtype == torch.uint8
    area = batch.area_B.view(8, 4)
    assert (area[:, :-1] >= area[:, 1:]).all() and (area >= 0.1 - 1e-9).all()
    assert (batch.nest_B.view(8, 4) == torch.arange(8)[:, None]).all()
    assert len(batch.trace_B) == 32 and all(trace.view_size == (32, 32) for trace in batch.trace_B)
    nests = batch.nest_B[batch.over_P2]
    assert len(nests) > 0 and torch.equal(nests[:, 0], nests[:, 1]) and len(batch.even_E2) == 0


def test_pairs_take_their_share_of_the_identities(photos):
    plan = views_of(photos, SETTINGS, 0, PAIRS, 16).plan(0)
    numbers = photos_of(plan)
    assert len(numbers) == 8 and all(number < 16 for number in numbers[:4])
    members = {(pair.a, pair.b) for pair in PAIRS}
    assert {tuple(numbers[4:6]), tuple(numbers[6:])} <= members
    assert len(photos_of(views_of(photos, SETTINGS, 0, (), 16).plan(0))) == 8


def test_every_pair_has_its_turn_before_any_comes_again(photos):
    views = views_of(photos, SETTINGS, 0, PAIRS, 16)
    drawn = []
    for step in range(3):
        numbers = photos_of(views.plan(step))[4:]
        drawn += list(zip(numbers[::2], numbers[1::2], strict=True))
    assert sorted(drawn[:3]) == sorted(drawn[3:]) == sorted((pair.a, pair.b) for pair in PAIRS)


def test_first_view_of_a_pairs_photo_is_the_photo_as_it_is(photos, executor):
    batch = pair_batch(photos, executor)
    for nest in range(4, 8):
        (first, *_) = (batch.nest_B == nest).nonzero().flatten().tolist()
        assert batch.area_B[first] == 1
        assert batch.trace_B[first].content == pytest.approx(1) and not batch.trace_B[first].covers
        area = batch.area_B[batch.nest_B == nest]
        assert (area[:-1] >= area[1:]).all()


def relations(photos, executor, settings=SETTINGS, steps=3):
    """{(a, b)}: photos that stand over one another, and photos that are even, over some steps."""
    over, even = set(), set()
    views = views_of(photos, settings, 0, PAIRS, 16)
    for step in range(steps):
        plan = views.plan(step)
        batch = views.batch(plan, executor.make(plan.orders))
        photo_of = [order.photo for order in plan.orders]
        across = [pair for pair in batch.over_P2.tolist() if batch.nest_B[pair[0]] != batch.nest_B[pair[1]]]
        over |= {(photo_of[i], photo_of[j]) for i, j in across}
        even |= {(photo_of[i], photo_of[j]) for i, j in batch.even_E2.tolist()}
    return over, even


def test_direction_of_a_pair_says_which_photo_stands_over_the_other(photos, executor):
    assert relations(photos, executor) == ({(16, 17), (19, 18)}, {(0, 18)})


def test_pair_without_direction_can_be_taken_as_the_papers_latter_over_former(photos, executor):
    over, even = relations(photos, executor, with_pairs(term="one-way"))
    assert over == {(16, 17), (19, 18), (18, 0)} and not even


def test_random_direction_goes_both_ways_in_time_and_only_without_one(photos, executor):
    over, even = relations(photos, executor, with_pairs(term="random"), steps=12)
    assert over == {(16, 17), (19, 18), (18, 0), (0, 18)} and not even


def test_random_directions_of_seeds_and_pairs_have_nothing_to_do_with_each_other(photos):
    pairs = [Pair(16, 17, 0), Pair(18, 19, 0)]
    turns = []
    for seed in (0, 1):
        views = views_of(photos, with_pairs(term="random"), seed, pairs, 16)
        over = [views.plan(step).over_H2[:, 0].tolist() for step in range(12)]  # nests 4 or 5, and 6 or 7
        turns += [tuple(nest % 2 for nest in nests) for nests in zip(*over, strict=True)]
    assert len(set(turns)) == 4


def test_whole_photos_of_a_pair_are_always_compared(photos, executor):
    """Even where the model sees only the middle of a photo that is not square."""
    batch = pair_batch(photos, executor)
    first = {nest: (batch.nest_B == nest).nonzero()[0].item() for nest in range(4, 8)}
    compared = {frozenset(pair) for pair in [*batch.over_P2.tolist(), *batch.even_E2.tolist()]}
    assert frozenset((first[4], first[5])) in compared and frozenset((first[6], first[7])) in compared


def test_photos_of_a_pair_are_one_class_or_their_own(photos, executor):
    for classes, num_classes in (("one", 17), ("own", 20)):
        views = views_of(photos, with_pairs(classes=classes), 0, PAIRS, 16)
        label = views.class_N
        assert views.num_classes == num_classes
        together = [label[a] == label[b] for a, b, _ in PAIRS]
        assert together == [classes == "one"] * 3 and (label[19] == label[0]) == (classes == "one")
    batch = pair_batch(photos, executor)
    labels = batch.label_B.view(8, 4)
    assert (labels == labels[:, :1]).all()
    assert labels[4, 0] == labels[5, 0] and labels[6, 0] == labels[7, 0] != labels[4, 0]


def test_class_of_pairs_that_share_photos_ends_at_its_limit(photos):
    chain = [Pair(number, number + 1, 0) for number in range(9)]
    label = views_of(photos, with_pairs(most_per_class=4), 0, chain).class_N
    assert np.bincount(label).max() == 4 and len(label) == 20
    assert label[0] == label[3] != label[4] == label[7]


def test_replaced_photo_brings_its_class_and_leaves_its_pair(photos):
    encoded = [file.read() for file in photos.files]
    encoded[17] = b"not a picture"
    settings = dataclasses.replace(with_pairs(per_batch=1), num_identities=2)
    views = views_of(photos, settings, 0, [Pair(16, 17, 1)], 16)
    plan = views.plan(0)
    with CpuExecutor(MemoryPhotos(encoded), num_workers=0) as executor:
        batch = views.batch(plan, executor.make(plan.orders))
    assert [failure.id for failure in batch.failures] == ["17"]
    assert batch.label_B.view(2, 4)[:, 0].tolist() == [views.class_N[16], views.class_N[18]]
    nests = batch.nest_B[batch.over_P2]
    assert len(nests) > 0 and torch.equal(nests[:, 0], nests[:, 1])


def test_content_can_order_views_that_area_orders_otherwise(photos, executor):
    found = {}
    settings = dataclasses.replace(SETTINGS, edit_share=1.0, edit_strength=1.0, edit_recipe="disc")
    for ordered_by in ("both", "area", "content"):
        found[ordered_by] = set()
        for step in range(3):
            batch = batch_of(
                photos, dataclasses.replace(settings, ordered_by=ordered_by), step, executor=executor
            )
            found[ordered_by] |= {(step, *pair) for pair in batch.over_P2.tolist()}
            if ordered_by == "content":
                content = torch.tensor([trace.content for trace in batch.trace_B], dtype=torch.float64)
                assert (content[batch.over_P2[:, 0]] > content[batch.over_P2[:, 1]]).all()
    assert found["both"] == found["area"] & found["content"]
    assert found["both"] < found["area"] and found["both"] < found["content"]


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_make_the_batch_of_one_process_between_them(photos, world_size):
    pairs = [Pair(16, 17, 0), Pair(18, 19, 0), Pair(0, 18, 0), Pair(3, 4, 0)]
    settings = dataclasses.replace(with_pairs(per_batch=3), num_identities=11)

    def told(plans):
        return sorted(repr(order) for plan in plans for order in plan.orders)

    alone = views_of(photos, settings, 0, pairs, 16)
    ranks = [
        views_of(photos, settings, 0, pairs, 16, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for step in range(3):
        plans = [views.plan(step) for views in ranks]
        assert told(plans) == told([alone.plan(step)])
        assert sum(len(plan.even_H2) for plan in plans) == len(alone.plan(step).even_H2) == 3
        num_photos = [len(photos_of(plan)) for plan in plans]
        assert max(num_photos) - min(num_photos) <= 1 and min(num_photos) >= 1


def test_ranks_without_a_share_are_refused(photos):
    with pytest.raises(ValueError, match="rank 2 of 2"):
        views_of(photos, SETTINGS, rank=2, world_size=2)
    with pytest.raises(ValueError, match="of 0 pairs and 8 other photos can't be divided over 9 proc"):
        views_of(photos, SETTINGS, rank=0, world_size=9)
    with pytest.raises(ValueError, match="of 4 pairs and 0 other photos can't be divided over 5 processes"):
        views_of(photos, with_pairs(per_batch=4), 0, PAIRS, 16, rank=0, world_size=5)


def test_more_pairs_than_identities_are_refused(photos):
    with pytest.raises(ValueError, match=r"per_batch 5 takes 10 of .* identities, but num_identities is 8"):
        views_of(photos, with_pairs(per_batch=5), 0, PAIRS, 16)
    assert len(views_of(photos, with_pairs(per_batch=5)).plan(0).orders) == 32  # there are no pairs


def laid_over(chain, size, num_photos):
    """The photos of the pool that a chain takes, as an executor picks them."""
    patches = [step.patch for step in chain.steps(size) if isinstance(step, Onto | Over)]
    shares = [patch.other for patch in patches if isinstance(patch, PhotoPatch)]
    return [min(num_photos - 1, int(share * num_photos)) for share in shares]


@fewer(max_examples=60, deadline=None)
@given(st.data())
def test_no_kind_of_edit_takes_a_related_photo(data):
    num_photos = data.draw(st.integers(2, 40))
    related = sorted(data.draw(st.sets(st.integers(0, num_photos - 1), min_size=1, max_size=num_photos - 1)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    chain = Chain(tuple(kind.sample(rng, 1.0) for kind in KINDS.values()))
    before = laid_over(chain, (60, 40), num_photos)
    after = laid_over(kept_apart(chain, related, num_photos), (60, 40), num_photos)
    assert len(before) == len(after) >= 4
    assert not set(after) & set(related)


def test_photos_laid_over_are_drawn_evenly_from_the_others():
    rng = np.random.default_rng(0)
    paste = KINDS["Paste"]
    taken = [
        laid_over(kept_apart(Chain((paste.sample(rng, 1.0),)), [0, 2, 7], 8), (60, 40), 8)[0]
        for _ in range(1000)
    ]
    count = np.bincount(taken, minlength=8)
    assert count[[0, 2, 7]].tolist() == [0, 0, 0] and count[[1, 3, 4, 5, 6]].min() > 150


def test_chain_stays_as_it_is_where_all_photos_are_related():
    chain = Chain(tuple(kind.sample(np.random.default_rng(0), 1.0) for kind in KINDS.values()))
    assert kept_apart(chain, [0, 1], 2) is chain


def test_views_never_show_their_own_group_or_pair(photos):
    groups = [f"scene {number // 4}" for number in range(20)]
    settings = dataclasses.replace(SETTINGS, edit_share=1.0, edit_strength=1.0, edit_recipe="disc")
    pairs = [Pair(0, 8, 0), Pair(5, 16, 1), Pair(17, 12, 0)]
    everything = photo_set(photos, pairs, 20, groups)
    views = views_of(photos, settings, 1, pairs, 20, groups)
    num_taken = 0
    for step in range(6):
        for order in views.plan(step).orders:
            taken = laid_over(order.chain, everything.size_N[order.photo], 20)
            num_taken += len(taken)
            related = {other for other in range(20) if other // 4 == order.photo // 4}
            related |= {b for a, b, _ in pairs if a == order.photo} | {
                a for a, b, _ in pairs if b == order.photo
            }
            assert everything.related(order.photo) == sorted(related)
            assert not set(taken) & related
    assert num_taken > 60


def test_subset_keeps_pairs_whose_photos_both_stay(photos):
    part = subset(photo_set(photos, PAIRS, 16), [0, 3, 16, 17, 18])
    assert part.num_single == 2 and part.group_N[2] == "photo 16" and part.size_N[0] == photos.size(0)
    assert part.pairs == [Pair(2, 3, 1), Pair(0, 4, 0)]


def test_gradient_of_the_pair_terms_is_that_of_the_formula_in_float64(photos, executor):
    batch = pair_batch(photos, executor, with_pairs(per_batch=3))
    nests = batch.nest_B[batch.over_P2]
    assert (nests[:, 0] != nests[:, 1]).any() and (nests[:, 0] == nests[:, 1]).any()
    assert len(batch.even_E2) > 0
    torch.manual_seed(0)
    formula = LossSettings(metric_weight=0.3, ratio_weight=1.7, gap_weight=0.6)
    loss = AslLoss(17, 8, formula)
    row = torch.randn(32, 8)
    ours, exact = row.clone().requires_grad_(), row.double().requires_grad_()
    loss(ours, batch.label_B, batch.over_P2, batch.even_E2).total.backward()
    parts = cosface_norm_ratio_reference(
        exact,
        loss.weight_CD.detach().double(),
        batch.label_B,
        batch.over_P2,
        batch.even_E2,
        scale=64.0,
        margin=0.35,
        metric_weight=0.3,
        ratio_weight=1.7,
        gap_weight=0.6,
    )
    parts[0].backward()
    # and the two terms once more, as a sum over the pairs that the test above describes
    norm = row.double().norm(dim=1)
    ratio = [math.exp(1 - norm[i] / norm[j]) for i, j in batch.over_P2.tolist()]
    gap = [abs(math.log(norm[i] / norm[j])) for i, j in batch.even_E2.tolist()]
    assert parts[2].item() == pytest.approx(np.mean(ratio)) and parts[3].item() == pytest.approx(np.mean(gap))
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)

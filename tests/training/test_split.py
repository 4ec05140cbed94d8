"""Which photos train and which measure, where pairs tie them together; what is measured on pairs."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as fewer
from hypothesis import strategies as st
from torch import nn

from asl_fast.images import Resize, find_images
from asl_fast.losses import LossSettings
from asl_fast.training import FilePair, TrainSettings, train
from asl_fast.training.fold import hold_back_others
from asl_fast.training.pair_ratios import measure_pairs
from asl_fast.training.pairs import number_pairs
from asl_fast.training.photo_set import Pair, PhotoSet
from asl_fast.training.photos import read_photos
from asl_fast.training.split import split_photos

LOSS = LossSettings(metric_weight=0.03, scale=16.0)


def set_of(num, num_single, pairs, groups=None):
    groups = groups or [f"photo {number}" for number in range(num)]
    return PhotoSet([(4, 3)] * num, groups, num_single, pairs)


def test_photo_of_a_pair_goes_where_its_partner_is():
    photos = set_of(6, 2, [Pair(0, 2, 0), Pair(3, 1, 0), Pair(2, 4, 0)])
    assert hold_back_others(photos, [0], 0.2, 0) == [2, 4]
    assert hold_back_others(photos, [1], 0.2, 0) == [3]


def test_photo_of_a_held_back_group_is_held_back():
    photos = set_of(6, 2, [Pair(2, 3, 0), Pair(4, 5, 0)], ["a", "b", "a", "c", "b", "d"])
    assert hold_back_others(photos, [0], 0.2, 0) == [2, 3]


def test_photo_between_both_sides_is_held_back():
    photos = set_of(3, 2, [Pair(0, 2, 0), Pair(1, 2, 0)])
    assert hold_back_others(photos, [0], 0.2, 0) == [2] == hold_back_others(photos, [1], 0.2, 0)


def test_share_of_the_free_pairs_is_held_back_whole_and_by_the_seed():
    pairs = [Pair(10 + 2 * number, 11 + 2 * number, 0) for number in range(50)]
    photos = set_of(110, 10, pairs)
    held = [hold_back_others(photos, [0], 0.2, seed) for seed in (0, 0, 1)]
    assert len(held[0]) == 20 and held[0] == held[1] != held[2]
    for pair in pairs:
        assert (pair.a in held[0]) == (pair.b in held[0])


def test_pairs_that_all_hang_together_are_trained_on():
    photos = set_of(30, 10, [Pair(number, number + 1, 0) for number in range(10, 29)])
    assert hold_back_others(photos, [0], 0.2, 0) == []


@fewer(max_examples=80, deadline=None)
@given(st.data())
def test_no_photo_group_or_pair_has_a_part_on_each_side_and_nothing_is_lost(data):
    num_single, num = 12, data.draw(st.integers(12, 20))
    number = st.integers(0, num - 1)
    pairs = [Pair(a, b, 0) for a, b in data.draw(st.lists(st.tuples(number, number), max_size=15)) if a != b]
    groups = [f"group {data.draw(st.integers(0, 9))}" for _ in range(num)]
    held_groups = data.draw(st.sets(st.sampled_from(groups[:num_single])))
    held = [photo for photo in range(num_single) if groups[photo] in held_groups]
    others = hold_back_others(set_of(num, num_single, pairs, groups), held, 0.3, 0)
    assert all(photo >= num_single for photo in others) and others == sorted(set(others))
    held_back = {*held, *others}
    for photo in range(num_single, num):
        for other in range(num_single):
            if groups[photo] == groups[other] and other in held_back:
                assert photo in held_back
        for pair in pairs:
            if photo in (pair.a, pair.b) and min(pair.a, pair.b) in held:
                assert photo in held_back


@pytest.fixture(scope="module")
def files(photo_folder):
    return find_images(photo_folder)


def split(files, pairs, num_files, seed=0, folder=None):
    listed, numbered = number_pairs(files[:num_files], pairs)
    photos, _ = read_photos(listed, 64, num_threads=1, progress=False)
    return photos, split_photos(photos, listed, num_files, numbered, folder, 0.25, seed)


def test_held_back_photos_are_the_same_with_pairs_and_without(files, photo_folder):
    pairs = [FilePair(files[number], files[number + 1], 0, "") for number in range(0, 19)]
    for seed in range(5):
        _, alone = split(files, [], 16, seed, photo_folder)
        photos, paired = split(files, pairs, 16, seed, photo_folder)
        assert alone.held == paired.held
        assert set(alone.trained) <= set(paired.trained) and len(photos) == 20
        names = [photos.files[number].id for number in paired.trained]
        assert not {photos.files[number].id for number in paired.held} & set(names)
        measured = len(paired.measured) if paired.held_pairs else 0
        assert len(paired.train_set.pairs) + measured + paired.num_pairs_apart == len(pairs)
        for pair in paired.train_set.pairs:
            assert int(names[pair.b][-2:]) == int(names[pair.a][-2:]) + 1


def test_pair_with_a_broken_photo_is_left_out(files, photo_folder, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (wrong,) = find_images(broken)
    pairs = [FilePair(files[18], wrong, 1, ""), FilePair(files[18], files[19], -1, "")]
    photos, told = split(files, pairs, 16, 0, photo_folder)
    assert len(photos) == 18
    kept = [*told.train_set.pairs, *(told.measured if told.held_pairs else [])]
    assert [pair.order for pair in kept] == [-1]


class MeanOfPixels(nn.Module):
    """Brightness as the norm."""

    def forward(self, pixels_BCHW):
        return torch.stack([pixels_BCHW.float().mean((1, 2, 3)), torch.zeros(len(pixels_BCHW))], 1)


def test_mean_ratio_is_read_both_ways():
    photos = [np.full((4, 4, 3), value, np.uint8) for value in (100, 50, 25)]
    pairs = [Pair(0, 1, 1), Pair(2, 0, -1), Pair(0, 1, 0)]
    report = measure_pairs(
        MeanOfPixels(), Resize(edge_px=4), photos, pairs, torch.device("cpu"), held_back=True
    )
    assert report.num_pairs == 3 and report.held_back  # 100 / 50, 100 / 25 and, without direction, 50 / 100
    assert report.ratio == pytest.approx((2 + 4 + 0.5) / 3)
    assert report.reverse == pytest.approx((0.5 + 0.25 + 2) / 3)
    assert report.gap == pytest.approx(4 / 3 * np.log(2)) and report.above == pytest.approx(2 / 3)


THREE = ((12, 13), (14, 15), (16, 17))  # too few for one to be held back: they are measured themselves


def learn(files, photo_folder, start_model, out, pairs, **change):
    settings = TrainSettings(
        start=str(start_model), num_steps=60, num_identities=8, num_views=3, lr=1e-2, clip_norm=10.0,
        frozen_statistics=False, edit_share=0.2, evaluate_every=30, loss=LOSS,
    )  # fmt: skip
    settings = dataclasses.replace(settings, **change)
    return train(
        files[:12], out, settings, seed=0, folder=photo_folder, pairs=pairs, num_workers=0, progress=False
    )


@pytest.mark.parametrize("order", [1, -1])
def test_training_turns_the_norms_of_pairs_their_way(files, photo_folder, start_model, tmp_path, order):
    pairs = [FilePair(files[a], files[b], order, "") for a, b in THREE]
    outcome = learn(files, photo_folder, start_model, tmp_path / "run", pairs)
    before, after = outcome.pairs_before, outcome.pairs_after
    assert outcome.num_pairs == after.num_pairs == 3 and not after.held_back and not outcome.num_pairs_apart
    told = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert told["pairs_before"] == before.to_dict() and told["pairs_after"] == after.to_dict()
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "eval/pairs_ratio" in row] == [29, 59]
    assert after.ratio > 1.1 > 1 > after.reverse and after.above == 1 and after.ratio > before.ratio


def test_even_pairs_are_drawn_together(files, photo_folder, start_model, tmp_path):
    pairs = [FilePair(files[a], files[b], 0, "") for a, b in THREE]
    gaps = []
    for weight in (0.0, 1.0):
        loss = dataclasses.replace(LOSS, gap_weight=weight)
        outcome = learn(
            files, photo_folder, start_model, tmp_path / str(weight), pairs, loss=loss, frozen_statistics=True
        )
        assert not outcome.pairs_after.held_back
        gaps.append(outcome.pairs_after.gap)
    assert gaps[1] < 0.1 * gaps[0]

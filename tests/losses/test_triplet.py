"""Batch-hard triplets against the sum written out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.losses import AslLoss, LossSettings
from asl_fast.losses.triplet import TRIPLET_MARGIN, batch_hard_triplet


def written_out(row_BD, label_B, margin):
    unit = torch.nn.functional.normalize(row_BD, dim=1)
    losses = []
    for anchor, label in enumerate(label_B):
        if label < 0:
            continue
        far, near = [], []
        for other, its in enumerate(label_B):
            if its < 0 or other == anchor:
                continue
            (far if its == label else near).append(1 - float(unit[anchor] @ unit[other]))
        if far and near:
            losses.append(max(0.0, margin + max(far) - min(near)))
    return sum(losses) / len(losses) if losses else 0.0


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=9), st.integers(0, 1 << 20))
def test_it_is_the_sum_written_out(labels, seed):
    row_BD = torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(seed))
    got = batch_hard_triplet(row_BD, torch.tensor(labels))
    assert float(got) == pytest.approx(written_out(row_BD, labels, TRIPLET_MARGIN), abs=1e-5)


def test_without_a_partner_or_an_opponent_nothing_is_learned():
    row_BD = torch.randn(4, 5, requires_grad=True)
    for labels in ([0, 1, 2, 3], [7, 7, 7, 7], [-1, -1, -1, -1]):
        loss = batch_hard_triplet(row_BD, torch.tensor(labels))
        assert loss == 0
        assert torch.equal(torch.autograd.grad(loss, row_BD)[0], torch.zeros_like(row_BD))


def test_it_is_added_to_the_total_alone():
    torch.manual_seed(0)
    row_BD, label_B, none = torch.randn(6, 8), torch.tensor([0, 0, 1, 1, 2, 2]), torch.zeros(0, 2).long()
    with_it = AslLoss(3, 8, LossSettings(triplet_weight=0.5))
    without = AslLoss(3, 8)
    without.load_state_dict(with_it.state_dict())
    a, b = with_it(row_BD, label_B, none), without(row_BD, label_B, none)
    assert a[1:] == b[1:]
    assert (a.total - b.total).item() == pytest.approx(
        0.5 * batch_hard_triplet(row_BD, label_B).item(), rel=1e-4
    )

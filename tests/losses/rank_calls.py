"""What the processes of a group are told to do in test_ranks.py."""

import math

import torch
from torch import nn

from asl_fast.losses import (
    AslLoss,
    ClassAdam,
    ClassSgd,
    LossSettings,
    Ranks,
    divided_loss,
    load_class_shards,
    save_class_shards,
)

FORMULA = {
    "scale": 20.0, "margin": 0.35, "margin_kind": "cosface", "metric_weight": 0.7, "ratio_weight": 1.3,
    "gap_weight": 0.4,
}  # fmt: skip
STEPS = {"sgd": lambda: ClassSgd(0.5, momentum=0.9, weight_decay=0.01), "adam": lambda: ClassAdam(0.05)}


def batch(rank, num_classes, num_dims, dtype, num_rows=None):
    """The batch of a rank, larger on higher ranks; both kinds of pairs stay within it."""
    generator = torch.Generator().manual_seed(100 + rank)
    num_rows = num_rows or 4 + 3 * rank
    row = 2 * torch.randn(num_rows, num_dims, generator=generator)
    label = torch.randint(-1, num_classes, (num_rows,), generator=generator)
    pairs = torch.randint(-1, num_rows, (2 * rank, 2), generator=generator)
    evens = torch.randint(-1, num_rows, (3 * (rank + 1), 2), generator=generator)
    return row.to(dtype), label, pairs, evens


def class_weights(num_classes, num_dims, dtype):
    return torch.randn(num_classes, num_dims, generator=torch.Generator().manual_seed(1)).to(dtype)


def loss_and_gradients(rank, group, num_classes, num_dims, dtype, options):
    """total, metric, ratio, gap; gradients of this rank's rows and of its classes."""
    options = dict(options)
    ranks = Ranks(num_classes, group, mean_follows=options.pop("mean_follows", False))
    row, *told = batch(rank, num_classes, num_dims, dtype)
    row.requires_grad_()
    weight = class_weights(num_classes, num_dims, dtype)[ranks.first : ranks.stop].requires_grad_()
    torch.manual_seed(5 + rank)
    parts = divided_loss(row, weight, *told, **FORMULA | options, ranks=ranks)
    parts.total.backward()
    return *(part.detach() for part in parts), row.grad, weight.grad


def bad_batch(rank, group, fault):
    """One rank does something wrong."""
    ranks = Ranks(9, group)
    row, label, pairs, evens = batch(rank, 9, 8, torch.float32)
    weight = class_weights(9, 8, torch.float32)[ranks.first : ranks.stop]
    if rank == 1:
        if fault == "label":
            label[2] = 9
        elif fault == "pair":
            pairs[0, 0] = len(row)
        elif fault == "even pair":
            evens[0, 0] = len(row)
        elif fault == "row":
            row[2, 3] = math.nan
        elif fault == "weight":
            weight[1, 3] = math.inf
        elif fault == "classes":
            weight = weight[1:]
        elif fault == "dims":
            row, weight = row[:, :7], weight[:, :7]
        elif fault == "type":
            row = row.double()
    return divided_loss(row, weight, label, pairs, evens, **FORMULA, ranks=ranks).total


def train_and_save(rank, group, folder, kind, num_steps, dtype, share):
    """A few fused steps, saved; the classes of this rank."""
    loss = AslLoss(
        11,
        8,
        LossSettings(scale=20.0, negative_share=share),
        ranks=Ranks(11, group),
        class_step=STEPS[kind](),
    )
    loss.to(dtype)
    with torch.no_grad():
        loss.weight_CD.copy_(class_weights(11, 8, dtype)[loss.ranks.first : loss.ranks.stop])
    learn(rank, loss, 0, num_steps)
    save_class_shards(folder, loss, num_steps)
    return loss.weight_CD.detach()


def load_and_train(rank, group, folder, kind, num_steps, dtype):
    """Load in this number of ranks and do one more step on rows that all have."""
    loss = AslLoss(11, 8, LossSettings(scale=20.0), ranks=Ranks(11, group), class_step=STEPS[kind]()).to(
        dtype
    )
    assert load_class_shards(folder, loss) == num_steps
    return {name: value.clone() for name, value in loss.state_dict().items()}


def learn(rank, loss, first_step, num_steps):
    for step in range(first_step, first_step + num_steps):
        torch.manual_seed(step)
        row, label, *_ = batch(rank + 10 * step, 11, 8, loss.weight_CD.dtype, num_rows=5)
        no_pairs = torch.empty(0, 2, dtype=torch.int64)
        loss(row.requires_grad_(), label, no_pairs).total.backward()


def new_weights(rank, group):
    torch.manual_seed(0)
    return AslLoss(12, 8, ranks=Ranks(12, group)).weight_CD.detach()


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(8, 8, dtype=torch.float64)

    def forward(self, row):
        return self.layer(row)


def descriptor_gradient(rank, group, num_ranks):
    """Gradient of a descriptor under DistributedDataParallel."""
    model = nn.parallel.DistributedDataParallel(Linear(), process_group=group)
    row, *told = batch(rank, 9, 8, torch.float64)
    ranks = Ranks(9, group, mean_follows=True)
    weight = class_weights(9, 8, torch.float64)[ranks.first : ranks.stop].requires_grad_()
    divided_loss(model(row), weight, *told, **FORMULA, ranks=ranks).total.backward()
    return model.module.layer.weight.grad

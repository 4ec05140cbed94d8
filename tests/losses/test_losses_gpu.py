"""What training adds to the loss, on the Triton path: on a GPU, or else in Triton's interpreter."""

import os

import pytest
import torch

ON_GPU = torch.cuda.is_available()
if not ON_GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

from asl_fast.kernels.cosface_ratio import gpu, paths
from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax
from asl_fast.losses import AslLoss, ClassAdam, ClassSgd, LossSettings

DEVICE = "cuda" if ON_GPU else "cpu"


@pytest.fixture(autouse=True)
def triton_path(monkeypatch):
    monkeypatch.setattr(paths, "path_for", lambda weight_CD, dtype: gpu)
    monkeypatch.setattr(gpu, "SCRATCH_BYTES", 1)  # 1024 classes a chunk


@pytest.mark.parametrize(
    ("step", "optimizer", "share"),
    [
        (
            lambda: ClassSgd(0.3, momentum=0.9),
            lambda weight: torch.optim.SGD([weight], 0.3, momentum=0.9),
            1.0,
        ),
        (lambda: ClassAdam(0.01), lambda weight: torch.optim.AdamW([weight], 0.01, weight_decay=0.0), 0.5),
    ],
)
def test_step_within_the_backward_pass_is_the_optimizers(step, optimizer, share):
    losses = []
    for class_step in (step(), None):
        torch.manual_seed(0)
        settings = LossSettings(negative_share=share)
        losses.append(AslLoss(1100, 16, settings, class_step=class_step).to(DEVICE))
    stepping = optimizer(losses[1].weight_CD)
    row = 3 * torch.randn(9, 16, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    label = torch.arange(0, 1100, 123, device=DEVICE)
    no_pairs = torch.empty(0, 2, dtype=torch.int64, device=DEVICE)
    for loss in losses:
        torch.manual_seed(2)
        loss(row, label, no_pairs).total.backward()
    stepping.step()
    moved = losses[1].weight_CD.grad.abs().sum(1) > 0
    assert moved.all() if share == 1 else 400 < moved.sum() < 700
    torch.testing.assert_close(losses[0].weight_CD[moved], losses[1].weight_CD[moved], rtol=1e-5, atol=1e-6)


def test_rank_without_a_class_takes_part():
    row = torch.randn(5, 16, device=DEVICE, requires_grad=True)
    weight = torch.empty(0, 16, device=DEVICE, requires_grad=True)
    label = torch.full((5,), -1, device=DEVICE)
    other, target, norm, _ = class_softmax(row, weight, label, 64.0, 0.35, "cosface")
    assert (other == -torch.inf).all() and (target == 0).all()
    (target + norm).sum().backward()
    torch.testing.assert_close(row.grad, row.detach() / norm.detach()[:, None])

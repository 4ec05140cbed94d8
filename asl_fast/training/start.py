"""Where training starts: a neck whose statistics fit, and class weights that know their photos."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from asl_fast.errors import InputError
from asl_fast.images import Resize
from asl_fast.losses import AslLoss, ClassAdam
from asl_fast.models import Descriptor, DescriptorConfig
from asl_fast.training.photos import Photos
from asl_fast.training.settings import TrainSettings


def start_descriptor(module: nn.Module, config: DescriptorConfig, name: str) -> Descriptor:
    """A descriptor for `config` with the weights of `module`."""
    if not isinstance(module, Descriptor):
        raise InputError(
            f"--model {name}: TorchScript files can't be trained; start from a timm model or a folder"
        )
    descriptor = Descriptor(config)
    descriptor.load_state_dict(module.state_dict())
    return descriptor


def start_loss(
    descriptor: Descriptor, photos: Photos, resize: Resize, settings: TrainSettings, device: torch.device
) -> AslLoss:
    """Class weights at the directions of the photos' own rows, after the neck's statistics are set to theirs.

    An untrained neck leaves all rows near one another; centred, they tell photos apart from the first step.
    """
    pooled_CD = _pooled(descriptor.to(device), photos, resize, device)
    with torch.no_grad():
        assert descriptor.neck.running_mean is not None and descriptor.neck.running_var is not None
        descriptor.neck.running_mean.copy_(pooled_CD.mean(0))
        descriptor.neck.running_var.copy_(pooled_CD.var(0))
        row_CD = descriptor.eval().neck(pooled_CD)
    step = None
    if settings.fused_class_step:
        step = ClassAdam(settings.class_lr, decoupled=settings.optimizer == "adamw")
    loss = AslLoss(len(photos), descriptor.num_dims, settings.loss, class_step=step).to(device)
    loss.start_at(row_CD)
    return loss


@torch.no_grad()
def _pooled(descriptor: Descriptor, photos: Photos, resize: Resize, device: torch.device) -> Tensor:
    descriptor.eval()
    rows = []
    for first in range(0, len(photos), 32):
        numbers = range(first, min(first + 32, len(photos)))
        pixels_BHWC = np.stack([resize(photos[number]) for number in numbers])
        rows.append(descriptor.before_neck(torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).to(device)))
    return torch.cat(rows)

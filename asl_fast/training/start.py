"""Where training starts: a neck whose statistics fit, and class weights that know their photos."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
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
    # a start without a gain gets one that does nothing yet
    new = () if module.config.gain_width else ("gain.",)
    told = descriptor.load_state_dict(module.state_dict(), strict=False)
    assert not told.unexpected_keys and all(name.startswith(new) for name in told.missing_keys)
    return descriptor


def new_loss(num_classes: int, num_dims: int, settings: TrainSettings) -> AslLoss:
    """Random class weights, with the step that the recipe wants for them."""
    step = None
    if settings.fused_class_step:
        step = ClassAdam(settings.class_lr, decoupled=settings.optimizer == "adamw")
    return AslLoss(num_classes, num_dims, settings.loss, class_step=step)


def start_classes(
    loss: AslLoss,
    descriptor: Descriptor,
    photos: Photos,
    class_N: NDArray[np.int64],
    resize: Resize,
    device: torch.device,
) -> None:
    """Class weights at the directions of the photos' own rows, after the neck's statistics are set to theirs.

    A class of several photos starts at the mean of their directions.

    An untrained neck leaves all rows near one another; centred, they tell photos apart from the first step.
    """
    pooled_ND = _pooled(descriptor.to(device), photos, resize, device)
    with torch.no_grad():
        assert descriptor.neck.running_mean is not None and descriptor.neck.running_var is not None
        descriptor.neck.running_mean.copy_(pooled_ND.mean(0))
        descriptor.neck.running_var.copy_(pooled_ND.var(0))
        unit_ND = nn.functional.normalize(descriptor.eval().neck(pooled_ND)).cpu()
        row_CD = torch.zeros(loss.weight_CD.shape).index_add_(0, torch.from_numpy(class_N), unit_ND)
    loss.to(device).start_at(row_CD.to(device))


@torch.no_grad()
def _pooled(descriptor: Descriptor, photos: Photos, resize: Resize, device: torch.device) -> Tensor:
    descriptor.eval()
    rows = []
    for first in range(0, len(photos), 32):
        numbers = range(first, min(first + 32, len(photos)))
        pixels_BHWC = np.stack([resize(photos[number]) for number in numbers])
        rows.append(descriptor.before_neck(torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).to(device)))
    return torch.cat(rows)

"""Where training starts: a neck whose statistics fit, and class weights that know their photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asl_fast.errors import InputError
from asl_fast.images import Resize
from asl_fast.losses import AslLoss, ClassAdam, Ranks
from asl_fast.models import Descriptor, DescriptorConfig
from asl_fast.training.photos import Photos
from asl_fast.training.settings import TrainSettings
from asl_fast.training.statistics import joint_moments


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


def new_loss(num_classes: int, num_dims: int, settings: TrainSettings, ranks: Ranks | None = None) -> AslLoss:
    """Random class weights, with the step that the recipe wants for them."""
    step = None
    if settings.fused_class_step:
        step = ClassAdam(settings.class_lr, decoupled=settings.optimizer == "adamw")
    return AslLoss(num_classes, num_dims, settings.loss, ranks=ranks, class_step=step)


def start_classes(
    loss: AslLoss,
    descriptor: Descriptor,
    photos: Photos,
    class_N: NDArray[np.int64],
    resize: Resize,
    device: torch.device,
) -> None:
    """Class weights at the directions of the photos' own rows, after the neck's statistics are set to theirs.

    A class of several photos starts at the mean of their directions. Each rank looks at the photos of its
    own classes; the statistics are of all.

    An untrained neck leaves all rows near one another; centred, they tell photos apart from the first step.
    """
    ranks = loss.ranks
    own_n = np.flatnonzero((class_N >= ranks.first) & (class_N < ranks.stop))
    pooled_nD = _pooled(descriptor.to(device), photos, own_n.tolist(), resize, device)
    with torch.no_grad():
        variance_D, mean_D = pooled_nD.new_zeros(2, pooled_nD.shape[1])
        if len(own_n):
            variance_D, mean_D = torch.var_mean(pooled_nD, 0, correction=0)
        mean_D, variance_D, num = joint_moments(mean_D, variance_D, len(own_n), ranks)
        assert descriptor.neck.running_mean is not None and descriptor.neck.running_var is not None
        descriptor.neck.running_mean.copy_(mean_D)
        descriptor.neck.running_var.copy_(variance_D * num / max(num - 1, 1))
        unit_nD = nn.functional.normalize(descriptor.eval().neck(pooled_nD)).cpu()
        class_n = torch.from_numpy(class_N[own_n] - ranks.first)
        row_CD = torch.zeros(loss.weight_CD.shape).index_add_(0, class_n, unit_nD)
    loss.to(device).start_at(row_CD.to(device))


@torch.no_grad()
def _pooled(
    descriptor: Descriptor, photos: Photos, numbers: Sequence[int], resize: Resize, device: torch.device
) -> Tensor:
    descriptor.eval()
    rows = [torch.empty(0, descriptor.num_dims, device=device)]
    for first in range(0, len(numbers), 32):
        pixels_BHWC = np.stack([resize(photos[number]) for number in numbers[first : first + 32]])
        rows.append(descriptor.before_neck(torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).to(device)))
    return torch.cat(rows)

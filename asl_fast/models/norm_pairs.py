"""Which batch norm reads which convolution, and putting the two into one.

In eval mode a batch norm is a scale and a shift for each channel, so conv -> norm is one conv with
other weights. Which norm reads which conv is seen by running one picture, not guessed from names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


@torch.inference_mode(False)
@torch.no_grad()
def join_norms(model: nn.Module, example: Tensor, join: Callable[[nn.Conv2d, nn.BatchNorm2d], None]) -> int:
    """Call `join` on every batch norm that alone reads a Conv2d, and leave `model` in eval mode.

    `join` makes the conv do the norm's work; what a norm has behind it (timm's activations) stays.
    A pair stays apart where the conv or the norm runs more than once. Where the joined model would give
    other outputs for `example` (a conv whose output is read elsewhere too), nothing is joined.
    Returns how many pairs were.
    """
    model.eval()
    before = model(example)
    pairs = norm_pairs(model, example)
    saved: list[Any] = [(conv.weight, conv.bias, conv.forward, norm.forward) for conv, norm in pairs]
    for conv, norm in pairs:
        join(conv, norm)
        # timm's BatchNormAct2d also holds what comes after the norm
        after = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
        norm.forward = nn.Sequential(*after).forward  # type: ignore[method-assign]
    difference = (model(example) - before).abs().max()
    if difference <= 1e-3 * before.abs().max():
        return len(pairs)
    for (weight, bias, conv_forward, norm_forward), (conv, norm) in zip(saved, pairs, strict=True):
        conv.weight, conv.bias = weight, bias
        conv.forward, norm.forward = conv_forward, norm_forward  # type: ignore[method-assign]
    return 0


def norm_pairs(model: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convs and the norm whose input is the very tensor that the conv put out."""
    conv_of: dict[int, nn.Conv2d] = {}
    outputs: list[Tensor] = []  # kept alive, so that no id is used twice
    calls: dict[nn.Module, int] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def saw_conv(conv: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        calls[conv] = calls.get(conv, 0) + 1
        conv_of[id(output)] = conv
        outputs.append(output)

    def saw_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        calls[norm] = calls.get(norm, 0) + 1
        if id(inputs[0]) in conv_of:
            pairs.append((conv_of.pop(id(inputs[0])), norm))

    hooks = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(saw_conv))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(saw_norm))
    try:
        model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]

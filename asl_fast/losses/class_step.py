"""An optimizer step that takes the gradient of the class weights a chunk at a time and keeps none of it.

torch.optim needs dW whole: as much memory as the weights. Here the backward pass hands over a chunk of dW and
the step of these rows is done there and then, by torch.optim's own arithmetic. That rules out what needs dW
whole or later: clipping, accumulation over batches, a loss scaler.
Weights narrower than float32 are stepped in float32 and rounded to the nearest; their moments are float32.
A step with sampled negatives moves the sampled rows and their moments only, weight decay included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax, shard_backward
from asl_fast.kernels.cosface_ratio.shard import Shard, inverse_norms


class ClassStep(nn.Module, ABC):
    """What both share: moments as buffers, so that a state dict holds them; `lr` may be set any time."""

    num_steps: Tensor

    def __init__(self, lr: float, weight_decay: float, moments: Sequence[str]) -> None:
        super().__init__()
        _not_negative(lr=lr, weight_decay=weight_decay)
        self.lr = lr
        self.weight_decay = weight_decay
        self._moments = tuple(moments)
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    def prepare(self, weight_CD: Tensor) -> None:
        """Make the moments for these weights, all 0."""
        dtype = torch.promote_types(weight_CD.dtype, torch.float32)
        for name in self._moments:
            self.register_buffer(name, torch.zeros_like(weight_CD, dtype=dtype, requires_grad=False))

    def moments(self) -> list[Tensor]:
        return [self.get_buffer(name) for name in self._moments]

    @abstractmethod
    def step_rows(self, weight_cD: Tensor, gradient_cD: Tensor, moments: list[Tensor], number: int) -> None:
        """Step some rows in place, in step `number` from 1 on; all tensors are of one type."""


class ClassSgd(ClassStep):
    """torch.optim.SGD: momentum without dampening, weight decay as part of the gradient."""

    def __init__(self, lr: float, *, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay, ["momentum_CD"] if momentum else [])
        _below_one(momentum=momentum)
        self.momentum = momentum

    def step_rows(
        self,
        weight_cD: Tensor,
        gradient_cD: Tensor,
        moments: list[Tensor],
        number: int,  # noqa: ARG002
    ) -> None:
        sgd(
            [weight_cD],
            [gradient_cD],
            [*moments] if moments else [None],
            foreach=False,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class ClassAdam(ClassStep):
    """torch.optim.Adam, or AdamW if `decoupled`: weight decay then acts on the weights themselves."""

    def __init__(
        self,
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, ["mean_CD", "square_CD"])
        _below_one(beta1=betas[0], beta2=betas[1])
        _not_negative(eps=eps)
        self.betas, self.eps, self.decoupled = betas, eps, decoupled

    def step_rows(self, weight_cD: Tensor, gradient_cD: Tensor, moments: list[Tensor], number: int) -> None:
        adam(
            [weight_cD],
            [gradient_cD],
            moments[:1],
            moments[1:],
            [],
            [torch.tensor(number - 1.0)],  # which adam() counts up
            foreach=False,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=self.eps,
            maximize=False,
        )


def stepped_class_softmax(
    feature_ND: Tensor,
    weight_CD: Tensor,
    label_N: Tensor,
    scale: float,
    margin: float,
    margin_kind: str,
    step: ClassStep,
    class_k: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(other_N, target_N, norm_N) of `class_softmax`, whose backward pass steps weight_CD in place.

    class_k: int64, the classes that take part, None = all; label_N then counts among them.
    weight_CD must require a gradient, but gets none.  ValueError in the backward pass if weight_CD was
    stepped since the forward pass.
    """
    outputs: tuple[Tensor, Tensor, Tensor] = _SteppedSoftmax.apply(
        feature_ND, weight_CD, label_N, scale, margin, margin_kind, step, class_k
    )
    return outputs


class _SteppedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        feature_ND: Tensor,
        weight_CD: Tensor,
        label_N: Tensor,
        scale: float,
        margin: float,
        margin_kind: str,
        step: ClassStep,
        class_k: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        part_kD = weight_CD if class_k is None else weight_CD[class_k]
        other_N, target_N, norm_N, norm_k = class_softmax(
            feature_ND, part_kD, label_N, scale, margin, margin_kind
        )
        ctx.save_for_backward(feature_ND, weight_CD, part_kD, label_N, other_N, norm_N, norm_k, class_k)
        ctx.scale, ctx.margin, ctx.step, ctx.number = scale, (margin, margin_kind), step, _number(step)
        ctx.set_materialize_grads(False)
        return other_N, target_N, norm_N

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        step = ctx.step
        if _number(step) != ctx.number:
            raise ValueError(
                "loss: the class weights were stepped after this loss was computed; with a fused step every "
                "forward pass is followed by its one backward pass, batches can't be accumulated"
            )
        feature_ND, weight_CD, part_kD, label_N, other_N, norm_N, norm_k, class_k = ctx.saved_tensors
        other_gradient_N, target_gradient_N, norm_gradient_N = gradients
        margin, margin_kind = ctx.margin
        zero_N = torch.zeros_like(other_N)
        step.num_steps += 1
        feature_gradient_ND = shard_backward(
            Shard(feature_ND, part_kD, label_N, inverse_norms(norm_N), inverse_norms(norm_k), ctx.scale),
            other_N,
            zero_N if other_gradient_N is None else other_gradient_N,
            zero_N if target_gradient_N is None else target_gradient_N,
            norm_gradient_N,
            None,
            margin,
            margin_kind,
            _SteppingSink(step, ctx.number + 1, weight_CD, class_k),
            need_feature=ctx.needs_input_grad[0],
        )
        return feature_gradient_ND if ctx.needs_input_grad[0] else None, *[None] * 7


class _SteppingSink:
    """Chunks of the gradient in one piece of memory, used again and again."""

    def __init__(self, step: ClassStep, number: int, weight_CD: Tensor, class_k: Tensor | None) -> None:
        self._step = step
        self._number = number
        self._weight_CD = weight_CD.detach()
        self._class_k = class_k
        self._gradient_cD: Tensor | None = None

    def buffer(self, start: int, stop: int) -> Tensor:
        if self._gradient_cD is None or len(self._gradient_cD) < stop - start:
            dtype = torch.promote_types(self._weight_CD.dtype, torch.float32)
            self._gradient_cD = self._weight_CD.new_empty(stop - start, self._weight_CD.shape[1], dtype=dtype)
        return self._gradient_cD[: stop - start]

    @torch.no_grad()
    def done(self, start: int, stop: int) -> None:
        gradient_cD = self.buffer(start, stop)
        whole = [self._weight_CD, *self._step.moments()]
        chosen = slice(start, stop) if self._class_k is None else self._class_k[start:stop]
        parts = [value[chosen] for value in whole]  # views of a slice, copies of sampled rows
        stepped = [part.to(gradient_cD.dtype) for part in parts]
        self._step.step_rows(stepped[0], gradient_cD, stepped[1:], self._number)
        for value, part, new in zip(whole, parts, stepped, strict=True):
            if self._class_k is not None:
                value[chosen] = new.to(value.dtype)
            elif new is not part:
                part.copy_(new)


def _number(step: ClassStep) -> int:
    return int(step.num_steps.item())


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"loss: {name} of the class step must be finite and not negative, got {value}")


def _below_one(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"loss: {name} of the class step must be in [0, 1), got {value}")

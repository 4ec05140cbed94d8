"""One step of training, and everything a checkpoint must hold."""

from __future__ import annotations

import copy
import math

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from asl_fast import _C
from asl_fast.losses import AslLoss, Ranks
from asl_fast.models import Descriptor, join_frozen_norms
from asl_fast.training.settings import TrainSettings
from asl_fast.training.statistics import join_statistics
from asl_fast.training.views import ViewBatch


class Trainer:
    """A descriptor, its EMA, the class weights and the optimizer, moved on step by step.

    With several ranks (those of `loss`) each has its share of the batch and of the classes; all have the same
    descriptor, moved on by the gradient of the one loss of them all.
    """

    def __init__(
        self, descriptor: Descriptor, loss: AslLoss, settings: TrainSettings, seed: int, device: torch.device
    ) -> None:
        self.settings = settings
        self.device = device
        self.step = 0
        self.mixed = settings.bf16 and has_bf16(device)
        self._seed = seed
        self.descriptor = descriptor.to(device).to(memory_format=torch.channels_last)
        self.loss = loss.to(device)
        _freeze(self.descriptor, settings.frozen_share)
        self.ema = copy.deepcopy(self.descriptor).eval().requires_grad_(False)
        self.optimizer = _optimizer(self.descriptor, loss, settings)
        if settings.frozen_statistics:
            edge_px = self.descriptor.config.edge_px
            generator = torch.Generator().manual_seed(0)
            example = torch.randint(0, 256, (1, 3, edge_px, edge_px), generator=generator)
            join_frozen_norms(self.descriptor, example.to(device))
        elif loss.ranks.group is not None:
            join_statistics(self.descriptor, loss.ranks)

    def train_step(self, batch: ViewBatch) -> dict[str, float]:
        """Learn from one batch; return the scalars to log. ValueError if loss or gradient is not finite."""
        own_seed = self._seed * 1_000_003 + self.step + self.loss.ranks.rank * 7_919_000_003
        torch.manual_seed(own_seed % 2**63)  # drop-out too: of (seed, step, rank) alone
        self._set_modes()
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * lr_share(self.step, self.settings)
        if self.loss.class_step is not None:
            self.loss.class_step.lr = self.settings.class_lr * lr_share(self.step, self.settings)
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            pixels_BCHW = batch.pixels_BCHW.contiguous(memory_format=torch.channels_last)
            row_BD = self.descriptor(pixels_BCHW).float()
        self._check_finite({"longest row": row_BD.detach().norm(dim=1).max().item()})
        parts = self.loss(row_BD, batch.label_B, batch.over_P2, batch.even_E2)
        self.optimizer.zero_grad(set_to_none=True)
        parts.total.backward()
        self._sum_gradients()
        gradient_norm = self._clip_gradients()
        scalars = {
            "loss/total": parts.total.item(),
            "loss/metric": parts.metric.item(),
            "loss/ratio": parts.ratio.item(),
            "loss/gap": parts.gap.item(),
            "gradient_norm": gradient_norm.item(),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }
        self._check_finite(scalars)
        self.optimizer.step()
        self.step += 1
        self._average()
        return scalars

    def state(self) -> dict[str, Tensor]:
        """All tensors that the next step depends on, by name."""
        state = {f"descriptor.{name}": value for name, value in self.descriptor.state_dict().items()}
        state |= {f"ema.{name}": value for name, value in self.ema.state_dict().items()}
        state |= {f"loss.{name}": value for name, value in self.loss.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
        return state

    def load_state(self, state: dict[str, Tensor], step: int) -> None:
        """Go on from `state()` of the same settings, as if there had been no break."""
        part: dict[str, dict[str, Tensor]] = {"descriptor": {}, "ema": {}, "loss": {}, "optimizer": {}}
        for name, value in state.items():
            owner, _, rest = name.partition(".")
            part[owner][rest] = value
        self.descriptor.load_state_dict(part["descriptor"])
        self.ema.load_state_dict(part["ema"])
        self.loss.load_state_dict(part["loss"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in part["optimizer"].items():
            number, _, kind = name.partition(".")
            moments.setdefault(int(number), {})[kind] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.step = step

    @property
    def ranks(self) -> Ranks:
        return self.loss.ranks

    @property
    def class_prefixes(self) -> tuple[str, ...]:
        """Names in `state()` that begin so have a row for each class of this rank, or count their steps."""
        weights = set(self.loss.parameters())
        numbers = [number for number, value in enumerate(self._trained()) if value in weights]
        return ("loss.", *(f"optimizer.{number}." for number in numbers))

    def _sum_gradients(self) -> None:
        """A rank's gradient is that of its own views; the descriptor's is their sum over the ranks."""
        group = self.loss.ranks.group
        if group is None:
            return
        gradients = [value.grad for value in self.descriptor.parameters() if value.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat, group=group)
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def _clip_gradients(self) -> Tensor:
        """Clip by the norm of all gradients together, those of other ranks' classes too; return that norm."""
        limit = self.settings.clip_norm or math.inf
        ranks = self.loss.ranks
        if ranks.group is None:
            return nn.utils.clip_grad_norm_(self._trained(), limit)
        shared, own = (
            [value.grad.norm() for value in part.parameters() if value.grad is not None]
            for part in (self.descriptor, self.loss)
        )
        none = torch.zeros((), device=self.device)
        square_W = ranks.gather(torch.stack([none, *own]).square().sum())
        norm = (torch.stack([none, *shared]).square().sum() + square_W.sum()).sqrt()
        nn.utils.clip_grads_with_norm_(self._trained(), limit, norm)
        return norm

    def _trained(self) -> list[nn.Parameter]:
        return [value for group in self.optimizer.param_groups for value in group["params"]]

    def _set_modes(self) -> None:
        self.descriptor.train()
        if self.settings.frozen_statistics:
            for module in self.descriptor.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    @torch.no_grad()
    def _average(self) -> None:
        """EMA of weights and statistics; early on it follows faster, so that the start doesn't linger."""
        decay = min(self.settings.ema_decay, self.step / (self.step + 10))
        averages = self.ema.state_dict()
        for name, value in self.descriptor.state_dict().items():
            average = averages[name]
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def _check_finite(self, scalars: dict[str, float]) -> None:
        bad = [f"{name} is {value}" for name, value in scalars.items() if not math.isfinite(value)]
        if bad:
            raise ValueError(
                f"train: {', '.join(bad)} at step {self.step}, "
                f"lr {self.optimizer.param_groups[0]['lr']:.3g}; the last "
                "checkpoint is kept, use a recipe with a lower lr or clip_norm in another --out"
            )


def has_bf16(device: torch.device) -> bool:
    """Does it multiply bfloat16 numbers faster than float32 ones?"""
    return device.type == "cuda" or "avx512bf16" in _C.build_info()["cpu_features"]


def lr_share(step: int, settings: TrainSettings) -> float:
    """Share of the peak lr in this step: linear warm-up, flat, then a cosine to 0 after the last."""
    done = (step + 1) / settings.num_steps
    if done <= settings.warmup_share:
        return done / settings.warmup_share
    if done <= settings.flat_until:
        return 1.0
    fallen = (step - settings.flat_until * settings.num_steps) / (
        settings.num_steps * (1 - settings.flat_until)
    )
    return 0.5 * (1 + math.cos(math.pi * max(0.0, fallen)))


def _freeze(descriptor: Descriptor, share: float) -> None:
    parameters = list(descriptor.backbone.parameters())
    for parameter in parameters[: round(share * len(parameters))]:
        parameter.requires_grad_(False)


def _optimizer(descriptor: Descriptor, loss: AslLoss, settings: TrainSettings) -> torch.optim.Optimizer:
    """Weight decay goes to matrices and kernels only, not to scales, shifts and class weights."""
    trained = [value for value in descriptor.parameters() if value.requires_grad]
    class_weights = [] if loss.class_step else list(loss.parameters())
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
        {"params": class_weights, "weight_decay": 0.0, "peak_lr": settings.class_lr},
    ]
    groups = [{"peak_lr": settings.lr} | group for group in groups if group["params"]]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.lr)

"""Classes divided over the processes of a group, and what the processes must tell one another.

Each rank has its own batch and its own range of the classes. Per step they exchange
  a header        so that a wrong argument on one rank is an error on all of them, not a wait without end
  the rows        every rank scores all ranks' rows against its classes
  two scalars a row and rank      log-sum-exp of the other classes, logit of the own class
  dX              summed over the ranks, in float32 or wider
Every sum over ranks is taken in the order of the ranks: the same bits every time for one number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def class_range(num_classes: int, rank: int, world_size: int) -> tuple[int, int]:
    """(first, stop) of the classes that this rank holds."""
    return rank * num_classes // world_size, (rank + 1) * num_classes // world_size


class Ranks:
    """The classes first..stop - 1 of `num_classes` belong to this process; ranges differ by one at most.

    group: a process group, None = this process alone.
    mean_follows: whatever trains the rows takes the mean of the ranks' gradients (DistributedDataParallel
    does), so the rows' gradient is handed out times the number of ranks; otherwise it is d loss / d row.
    """

    def __init__(
        self, num_classes: int, group: dist.ProcessGroup | None = None, *, mean_follows: bool = False
    ) -> None:
        self.num_classes = num_classes
        self.group = group
        self.world_size = dist.get_world_size(group) if group is not None else 1
        self.rank = dist.get_rank(group) if group is not None else 0
        self.row_factor = self.world_size if mean_follows else 1

        self.first, self.stop = class_range(num_classes, self.rank, self.world_size)

    def agree(self, row_ND: Tensor, check: Callable[[], None]) -> tuple[list[int], int]:
        """(number of rows of each rank, 63 random bits of rank 0) if `check` passes on every rank.

        ValueError on every rank if `check` raises one on any, or if their rows don't fit together.
        The bits come from PyTorch's generator of the CPU: `torch.manual_seed` sets them.
        """
        key = int(torch.randint(2**63 - 1, ()))
        if self.group is None:
            check()
            return [len(row_ND)], key
        refusal: ValueError | None = None
        try:
            check()
        except ValueError as error:
            refusal = error
        shape = (0, 0, 0) if refusal else (*row_ND.shape, _DTYPES.index(row_ND.dtype))
        header_W5 = self.gather(torch.tensor([refusal is not None, *shape, key], device=row_ND.device))
        if refusal:
            raise refusal
        told = header_W5.tolist()
        for rank, (refused, _, num_dims, dtype, _) in enumerate(told):
            if refused:
                raise ValueError(f"loss: rank {rank} refused its arguments; its own error says why")
            if (num_dims, dtype) != tuple(told[0][2:4]):
                raise ValueError(
                    f"loss: rows of rank {rank} are {_DTYPES[dtype]} with {num_dims} columns but those of "
                    f"rank 0 {_DTYPES[told[0][3]]} with {told[0][2]}; all ranks must train one descriptor"
                )
        return [line[1] for line in told], told[0][4]

    def gather(self, value: Tensor) -> Tensor:
        """(W, ...): the ranks' values, all of one shape, in their order.  Without gradient."""
        if self.group is None:
            return value[None]
        gathered = [torch.empty_like(value) for _ in range(self.world_size)]
        dist.all_gather(gathered, value.contiguous(), group=self.group)
        return torch.stack(gathered)

    def exchange(self, row_SD: Tensor, num_sent_W: list[int], num_received_W: list[int]) -> Tensor:
        """The first num_sent_W[0] rows go to rank 0 and so on; what comes back is in the ranks' order."""
        received_RD = row_SD.new_empty(sum(num_received_W), row_SD.shape[1])
        dist.all_to_all_single(
            received_RD.view(torch.uint8),  # not every backend sends every type
            row_SD.contiguous().view(torch.uint8),
            num_received_W,
            num_sent_W,
            group=self.group,
        )
        return received_RD


_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def gather_rows(row_BD: Tensor, ranks: Ranks, num_rows_W: list[int]) -> Tensor:
    """(N, D), float32 or wider: all ranks' rows in their order. Gradients are summed in that type."""
    if ranks.group is None:
        return row_BD
    gathered: Tensor = _GatherRows.apply(row_BD, ranks, num_rows_W)
    return gathered


def gather_labels(label_B: Tensor, ranks: Ranks, num_rows_W: list[int]) -> Tensor:
    """int64 (N,): all ranks' labels in their order."""
    if ranks.group is None:
        return label_B
    num_sent_W = [len(label_B)] * ranks.world_size
    return ranks.exchange(label_B.repeat(ranks.world_size)[:, None], num_sent_W, num_rows_W)[:, 0]


def join_shards(other_N: Tensor, target_N: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
    """What a row is up against in all classes: log-sum-exp of the ranks' `other_N`, sum of their `target_N`.

    other_N is -inf where a rank has no other class. A rank whose class weights were refused sends NaN, and
    then all ranks raise ValueError.
    """
    joined: tuple[Tensor, Tensor] = _JoinShards.apply(other_N, target_N, ranks)
    return joined


def refuse_shard(feature_ND: Tensor, ranks: Ranks) -> None:
    """Instead of `join_shards`, on a rank whose class weights are refused: the others wait for it."""
    ranks.gather(feature_ND.new_full((2, len(feature_ND)), torch.nan, dtype=torch.float64))


def joined_mean(mean: Tensor, num: Tensor, ranks: Ranks) -> Tensor:
    """The mean over all ranks' items, of whom this rank's `num` have this `mean`; 0 if there are none."""
    joined: Tensor = _JoinedMean.apply(mean, num, ranks)
    return joined


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, row_BD: Tensor, ranks: Ranks, num_rows_W: list[int]) -> Tensor:
        ctx.ranks, ctx.num_rows_W, ctx.dtype = ranks, num_rows_W, row_BD.dtype
        sent_SD = row_BD.repeat(ranks.world_size, 1)
        return ranks.exchange(sent_SD, [len(row_BD)] * ranks.world_size, num_rows_W).to(
            torch.promote_types(row_BD.dtype, torch.float32)
        )

    @staticmethod
    def backward(ctx: Any, gradient_ND: Tensor) -> tuple[Tensor, None, None]:
        ranks = ctx.ranks
        own = [ctx.num_rows_W[ranks.rank]] * ranks.world_size
        first, *others = ranks.exchange(gradient_ND, ctx.num_rows_W, own).chunk(ranks.world_size)
        for other_BD in others:
            first += other_BD
        return (first * ranks.row_factor).to(ctx.dtype), None, None


class _JoinShards(torch.autograd.Function):
    """All ranks compute one and the same loss: each keeps the derivative by its own part, none is sent."""

    @staticmethod
    def forward(ctx: Any, other_N: Tensor, target_N: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
        told_W2N = ranks.gather(torch.stack([other_N, target_N]).double())
        for rank, refused in enumerate(told_W2N.isnan().any(2).any(1).tolist()):
            if refused:
                raise ValueError(f"loss: rank {rank} refused its class weights; its own error says why")
        total_N = told_W2N[:, 0].logsumexp(0)
        share_N = torch.where(total_N.isfinite(), (other_N - total_N).exp(), 0.0)
        ctx.save_for_backward(share_N.to(other_N.dtype))
        return total_N.to(other_N.dtype), told_W2N[:, 1].sum(0).to(target_N.dtype)

    @staticmethod
    def backward(ctx: Any, other_gradient_N: Tensor, target_gradient_N: Tensor) -> Any:
        (share_N,) = ctx.saved_tensors
        return other_gradient_N * share_N, target_gradient_N, None


class _JoinedMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, num: Tensor, ranks: Ranks) -> Tensor:
        told_W2 = ranks.gather(torch.stack([mean.double(), num.double()]))
        total = told_W2[:, 1].sum().clamp_min(1)
        ctx.share, ctx.dtype = num / total, mean.dtype
        return ((told_W2[:, 0] * told_W2[:, 1]).sum() / total).to(mean.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return (gradient * ctx.share).to(ctx.dtype), None, None

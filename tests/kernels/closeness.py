"""The rule: a fast path may be as far from float64 as the plain formula in the same type, plus a floor."""

import torch
from torch import Tensor


def error(value: Tensor, exact: Tensor) -> float:
    """Largest deviation from `exact`, as a share of its largest entry; inf where a value is not finite.

    Of float64 results below 1e-4 the oracle, float64 itself, keeps few digits: they count as that large.
    """
    if not torch.isfinite(value).all():
        return float("inf")
    deviation = (value.double() - exact.double()).abs().max()
    smallest = 1e-4 if value.dtype == torch.float64 else 1e-300
    return (deviation / exact.double().abs().max().clamp_min(smallest)).item()


def assert_as_close(fast: Tensor, plain: Tensor, exact: Tensor, *, floor_ulps: float = 128) -> None:
    """The floor is in units of the accumulation type's spacing near 1: the difference of two logits as big as
    a scale of 64 is off by 128 of them, its exponential by that share. Below 1e-10 the oracle is unsure."""
    assert fast.shape == exact.shape
    floor = max(floor_ulps * torch.finfo(torch.promote_types(fast.dtype, torch.float32)).eps, 1e-10)
    allowed = error(plain, exact) + floor
    assert error(fast, exact) <= allowed, f"error {error(fast, exact):.3g}, allowed {allowed:.3g}"

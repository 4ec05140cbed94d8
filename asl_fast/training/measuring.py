"""What a run measures: the start model before it, the average on the way, the average after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from asl_fast.files import write_json
from asl_fast.images import Resize
from asl_fast.models import DescriptorConfig
from asl_fast.training.evaluation import FoldReport, FoldSet, evaluate_fold
from asl_fast.training.pair_ratios import PairReport, measure_pairs
from asl_fast.training.photo_set import Pair
from asl_fast.training.photos import Photos

_REPORT = "evaluation.json"


class Measured(NamedTuple):
    """pairs: None if there are no hard-negative pairs."""

    fold: FoldReport
    pairs: PairReport | None

    def scalars(self) -> dict[str, float]:
        """To log, by name."""
        told = {f"eval/{name}": float(value) for name, value in self.fold.to_dict().items()}
        pairs = {} if self.pairs is None else self.pairs.to_dict()
        return told | {f"eval/pairs_{name}": float(value) for name, value in pairs.items()}

    def told(self, when: str) -> dict[str, Any]:
        """For evaluation.json."""
        pairs = {} if self.pairs is None else {f"pairs_{when}": self.pairs.to_dict()}
        return {when: self.fold.to_dict()} | pairs

    @classmethod
    def from_told(cls, told: dict[str, Any], when: str) -> Measured:
        pairs = told.get(f"pairs_{when}")
        return cls(FoldReport(**told[when]), PairReport(**pairs) if pairs else None)


class Measuring(NamedTuple):
    """What a descriptor is measured on. resize: of the trained model."""

    fold: FoldSet
    photos: Photos
    pairs: list[Pair]
    held_pairs: bool
    resize: Resize
    device: torch.device

    def report(self, descriptor: torch.nn.Module, resize: Resize | None = None) -> Measured:
        resize = resize or self.resize
        fold = evaluate_fold(descriptor, resize, self.fold, self.device)
        if not self.pairs:
            return Measured(fold, None)
        pairs = measure_pairs(
            descriptor, resize, self.photos, self.pairs, self.device, held_back=self.held_pairs
        )
        return Measured(fold, pairs)

    def report_before(self, out: Path, module: torch.nn.Module, config: DescriptorConfig) -> Measured:
        """The start model's, at its own resolution; a resumed run reads what it measured the first time."""
        path = out / _REPORT
        if path.exists():
            return Measured.from_told(json.loads(path.read_text(encoding="utf-8")), "before")
        before = self.report(module, Resize(edge_px=config.edge_px, mode=config.resize_mode))
        write_json(path, before.told("before"))
        return before


def write_reports(out: Path, before: Measured, after: Measured) -> dict[str, Any]:
    """Write evaluation.json; return what it says."""
    told = before.told("before") | after.told("after")
    write_json(out / _REPORT, told)
    return told

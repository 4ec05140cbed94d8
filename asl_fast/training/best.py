"""best/: the model folder of the best average so far, beside model/, which holds the last."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from asl_fast.files import write_json
from asl_fast.models import Descriptor, DescriptorConfig, save_descriptor
from asl_fast.training.evaluation import FoldReport

_REPORT = "evaluation.json"


class Best:
    """Keeps what it is offered if its `uap_filtered` passes all before: what search finds at tau = 1.

    Of equals the first stays. A run that was killed offers some steps again and gets the same answers, so
    it ends with the same best as one left alone.
    """

    def __init__(self, folder: Path, config: DescriptorConfig) -> None:
        self._folder = folder
        self._config = config
        self._step, self._score = 0, -1.0
        if (folder / _REPORT).exists():
            told = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
            self._step, self._score = int(told["step"]), float(told["uap_filtered"])

    @property
    def step(self) -> int:
        """After how many steps it was; 0 = nothing was offered yet."""
        return self._step

    def offer(self, descriptor: Descriptor, step: int, fold: FoldReport) -> None:
        if fold.uap_filtered <= self._score:
            return
        note = f"{self._config.note}, the best of its run: after step {step}"
        save_descriptor(self._folder, descriptor, dataclasses.replace(self._config, note=note))
        write_json(self._folder / _REPORT, {"step": step} | fold.to_dict())  # last: it says that all is there
        self._step, self._score = step, fold.uap_filtered

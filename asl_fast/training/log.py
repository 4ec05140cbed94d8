"""metrics.jsonl (one line a step) and TensorBoard scalars, both cut back to the checkpoint on resume."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from asl_fast.files import replacing


class RunLog:
    """Scalars of a run, by step. A resumed run drops what was logged after its checkpoint."""

    def __init__(self, out: Path, first_step: int) -> None:
        path = out / "metrics.jsonl"
        kept = _lines_before(path, first_step)
        with replacing(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
        self._lines = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=first_step or None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._lines.close()
        self._board.close()

    def add(self, step: int, scalars: dict[str, float]) -> None:
        self._lines.write(json.dumps({"step": step} | scalars) + "\n")
        self._lines.flush()
        for name, value in scalars.items():
            self._board.add_scalar(name, value, step)


def _lines_before(path: Path, first_step: int) -> list[str]:
    """Lines of steps before first_step; the last line of a killed run may be cut off and is dropped."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []:
        if line.endswith("\n") and json.loads(line)["step"] < first_step:
            kept.append(line)
    return kept

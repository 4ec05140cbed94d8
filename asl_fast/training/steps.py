"""The steps of a run, and what the leading process does between them: measure, keep the best, log."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from asl_fast.images import Failure
from asl_fast.training.best import Best
from asl_fast.training.checkpoint import save_checkpoint
from asl_fast.training.log import RunLog
from asl_fast.training.measuring import Measured, Measuring
from asl_fast.training.trainer import Trainer
from asl_fast.training.views import Views
from asl_fast.views import ViewExecutor


class Watch(NamedTuple):
    """What the leading process has to measure with, and where it keeps the best."""

    measuring: Measuring
    best: Best

    def report(self, trainer: Trainer) -> Measured:
        measured = self.measuring.report(trainer.ema)
        self.best.offer(trainer.ema, trainer.step, measured.fold)
        return measured


class Done(NamedTuple):
    """measured: after the last step, None if none was left or another process leads.

    waited_share: of the time of the steps, what was spent waiting for views.
    """

    measured: Measured | None
    failures: list[Failure]
    waited_share: float


def run_steps(
    trainer: Trainer, views: Views, executor: ViewExecutor, watch: Watch | None, out: Path, *, progress: bool
) -> Done:
    """The steps that are left. watch: None on all processes but the leading one."""
    settings = trainer.settings
    failures: list[Failure] = []
    waited_s = busy_s = 0.0
    measured = None
    with ExitStack() as stack:
        log = stack.enter_context(RunLog(out, trainer.step)) if watch else None
        bar = tqdm(
            total=settings.num_steps, initial=trainer.step, desc="train", unit="step", disable=not progress
        )
        stack.enter_context(bar)
        batches = views.batches(executor, trainer.step, settings.num_steps)
        stack.enter_context(closing(batches))
        asked = time.perf_counter()
        for batch in batches:
            got = time.perf_counter()
            failures += batch.failures
            scalars = trainer.train_step(batch)
            done = time.perf_counter()
            waited_s, busy_s = waited_s + got - asked, busy_s + done - got
            if watch and _due(trainer.step, settings.evaluate_every, settings.num_steps):
                measured = watch.report(trainer)
                scalars |= measured.scalars()
            if log:
                log.add(trainer.step - 1, scalars)
            bar.set_postfix_str(
                f"metric {scalars['loss/metric']:.2f} ratio {scalars['loss/ratio']:.3f}", refresh=False
            )
            bar.update()
            if _due(trainer.step, settings.save_every, settings.num_steps):
                save_checkpoint(
                    out / "checkpoint", trainer.state(), trainer.step, ranks=trainer.ranks,
                    class_prefixes=trainer.class_prefixes,
                )  # fmt: skip
            asked = time.perf_counter()
    return Done(measured, failures, waited_s / max(waited_s + busy_s, 1e-9))


def _due(step: int, every: int, num_steps: int) -> bool:
    """After the last step, and after each `every` of them unless that is 0."""
    return step == num_steps or (every > 0 and step % every == 0)

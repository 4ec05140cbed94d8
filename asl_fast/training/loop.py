"""Training from start to end: photos, held-back fold, steps, checkpoints, and the model folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from asl_fast.images import Failure, ImageFile, Resize
from asl_fast.models import DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.training.best import Best
from asl_fast.training.checkpoint import load_checkpoint, save_checkpoint
from asl_fast.training.evaluation import FoldReport, make_fold_set
from asl_fast.training.executors import check_input, open_executor
from asl_fast.training.log import RunLog
from asl_fast.training.measuring import Measured, Measuring, write_reports
from asl_fast.training.pair_ratios import PairReport
from asl_fast.training.pairs import FilePair, number_pairs
from asl_fast.training.photos import Photos, read_photos
from asl_fast.training.same_run import check_same_run, record_start, run_identity
from asl_fast.training.settings import TrainSettings
from asl_fast.training.split import split_photos
from asl_fast.training.start import new_loss, start_classes, start_descriptor
from asl_fast.training.trainer import Trainer
from asl_fast.training.views import Views
from asl_fast.views import FilePhotos, ViewExecutor

_PHOTO_EDGES = 2  # photos are kept at this many times the views' edge: a crop of a quarter is then sharp


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did. before: the start model as it came, at its own resolution.  after: the EMA model.

    num_pairs: hard-negative pairs trained on.  num_pairs_apart: those of which one photo only was held back,
    which were not used.  pairs_before, pairs_after: of held-back pairs, or of trained ones if there are none.
    best_step: after how many steps the average did best, see `Best`.
    waited_share: of the time of all steps, what was spent waiting for views.
    """

    before: FoldReport
    after: FoldReport
    num_trained: int
    num_held_back: int
    failures: list[Failure]
    first_step: int
    best_step: int
    num_pairs: int = 0
    num_pairs_apart: int = 0
    pairs_before: PairReport | None = None
    pairs_after: PairReport | None = None
    waited_share: float = 0.0


def train(
    files: Sequence[ImageFile],
    out: Path,
    settings: TrainSettings,
    *,
    seed: int,
    folder: Path,
    pairs: Sequence[FilePair] = (),
    views_from: str = "cpu",
    device: str = "cpu",
    num_threads: int = 1,
    num_workers: int = 1,
    progress: bool = True,
) -> Outcome:
    """Train on `files`; leave model/, best/, checkpoint/, metrics.jsonl, tensorboard/, evaluation.json.

    Goes on from the checkpoint in `out` if there is one; the same command killed at any step and run again
    ends with the same weights. folder: where the images lie, for its manifest.csv.  pairs: hard negatives,
    of photos in `files` or not.  views_from: one of INPUTS.
    num_workers: processes that make views, 0 = this one makes them, between its steps.
    """
    check_input(views_from)
    start = load_descriptor(settings.start, device)
    config = dataclasses.replace(start.config, edge_px=settings.edge_px or start.config.edge_px)
    check_same_run(out, run_identity(files, pairs, settings, seed, views_from, start.fingerprint))
    on = torch.device(device)
    listed, numbered = number_pairs(files, pairs)
    photos, failures = read_photos(
        listed, _PHOTO_EDGES * config.edge_px, num_threads=num_threads, progress=progress
    )
    split = split_photos(photos, listed, len(files), numbered, folder, settings.held_back_share, seed)
    resize = Resize(edge_px=config.edge_px, mode=config.resize_mode)
    view_resize = Resize(edge_px=settings.view_edge_px or config.edge_px, mode=config.resize_mode)
    views = Views(split.train_set, view_resize, settings, seed)
    measuring = Measuring(
        make_fold_set(photos.subset(split.held), seed), photos, split.measured, split.held_pairs, resize, on
    )
    before = measuring.report_before(out, start.module, start.config)
    trainer = _trainer(start.module, config, photos.subset(split.trained), views, view_resize, seed, on, out)
    first_step = trainer.step
    record_start(out, first_step, device=device, num_threads=torch.get_num_threads())
    num_trained = len(split.trained)
    note = f"trained by asl_fast on {num_trained} photos, {settings.num_steps} steps from {settings.start}"
    config = dataclasses.replace(config, note=note)
    best = Best(out / "best", config)
    source = FilePhotos([photos.files[number] for number in split.trained])
    with closing(open_executor(views_from, source, device=device, num_workers=num_workers)) as executor:
        after, waited_share = _run_steps(trainer, views, executor, measuring, best, out, failures, progress)
    after = after or measuring.report(trainer.ema)
    save_descriptor(out / "model", trainer.ema, config)
    write_reports(out, before, after)
    return Outcome(
        before=before.fold,
        after=after.fold,
        num_trained=num_trained,
        num_held_back=len(split.held),
        failures=failures,
        first_step=first_step,
        best_step=best.step,
        num_pairs=len(split.train_set.pairs),
        num_pairs_apart=split.num_pairs_apart,
        pairs_before=before.pairs,
        pairs_after=after.pairs,
        waited_share=waited_share,
    )


def _trainer(
    module: torch.nn.Module,
    config: DescriptorConfig,
    photos: Photos,
    views: Views,
    resize: Resize,
    seed: int,
    device: torch.device,
    out: Path,
) -> Trainer:
    """At the start, or where the checkpoint in `out` left off."""
    settings = views.settings
    torch.manual_seed(seed)
    descriptor = start_descriptor(module, config, settings.start)
    loss = new_loss(views.num_classes, descriptor.num_dims, settings)
    saved = load_checkpoint(out / "checkpoint")
    if saved is None:
        start_classes(loss, descriptor, photos, views.class_N, resize, device)
    trainer = Trainer(descriptor, loss, settings, seed, device)
    if saved is not None:
        trainer.load_state(*saved)
    return trainer


def _run_steps(
    trainer: Trainer,
    views: Views,
    executor: ViewExecutor,
    measuring: Measuring,
    best: Best,
    out: Path,
    failures: list[Failure],
    progress: bool,
) -> tuple[Measured | None, float]:
    """The steps that are left; return (the report after the last, share of their time spent waiting).

    The report is None if there was no step left.
    """
    settings = trainer.settings
    waited_s = busy_s = 0.0
    measured = None
    with (
        RunLog(out, trainer.step) as log,
        tqdm(
            total=settings.num_steps, initial=trainer.step, desc="train", unit="step", disable=not progress
        ) as bar,
        closing(views.batches(executor, trainer.step, settings.num_steps)) as batches,
    ):
        asked = time.perf_counter()
        for batch in batches:
            got = time.perf_counter()
            step = trainer.step
            failures += batch.failures
            scalars = trainer.train_step(batch)
            done = time.perf_counter()
            waited_s, busy_s = waited_s + got - asked, busy_s + done - got
            if _due(trainer.step, settings.evaluate_every, settings.num_steps):
                measured = measuring.report(trainer.ema)
                best.offer(trainer.ema, trainer.step, measured.fold)
                scalars |= measured.scalars()
            log.add(step, scalars)
            bar.set_postfix_str(
                f"metric {scalars['loss/metric']:.2f} ratio {scalars['loss/ratio']:.3f}", refresh=False
            )
            bar.update()
            if _due(trainer.step, settings.save_every, settings.num_steps):
                save_checkpoint(out / "checkpoint", trainer.state(), trainer.step)
            asked = time.perf_counter()
    return measured, waited_s / max(waited_s + busy_s, 1e-9)


def _due(step: int, every: int, num_steps: int) -> bool:
    """After the last step, and after each `every` of them unless that is 0."""
    return step == num_steps or (every > 0 and step % every == 0)

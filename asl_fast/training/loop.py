"""Training from start to end: photos, held-back fold, steps, checkpoints, and the model folder."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from asl_fast.files import write_json
from asl_fast.images import Failure, ImageFile, Resize
from asl_fast.models import DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.training.checkpoint import load_checkpoint, save_checkpoint
from asl_fast.training.evaluation import FoldReport, FoldSet, evaluate_fold, make_fold_set
from asl_fast.training.executors import check_input, open_executor
from asl_fast.training.log import RunLog
from asl_fast.training.pair_ratios import PairReport, measure_pairs
from asl_fast.training.pairs import FilePair, number_pairs
from asl_fast.training.photo_set import Pair
from asl_fast.training.photos import Photos, read_photos
from asl_fast.training.same_run import check_same_run, run_identity
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
    waited_share: of the time of all steps, what was spent waiting for views.
    """

    before: FoldReport
    after: FoldReport
    num_trained: int
    num_held_back: int
    failures: list[Failure]
    first_step: int
    num_pairs: int = 0
    num_pairs_apart: int = 0
    pairs_before: PairReport | None = None
    pairs_after: PairReport | None = None
    waited_share: float = 0.0


class _Measuring(NamedTuple):
    """What a descriptor is measured on."""

    fold: FoldSet
    photos: Photos
    pairs: list[Pair]
    held_pairs: bool
    resize: Resize
    device: torch.device

    def report(self, descriptor: torch.nn.Module, resize: Resize) -> tuple[FoldReport, PairReport | None]:
        fold = evaluate_fold(descriptor, resize, self.fold, self.device)
        if not self.pairs:
            return fold, None
        pairs = measure_pairs(
            descriptor, resize, self.photos, self.pairs, self.device, held_back=self.held_pairs
        )
        return fold, pairs


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
    """Train on `files`; leave model/, checkpoint/, metrics.jsonl, tensorboard/ and evaluation.json in `out`.

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
    measuring = _Measuring(
        make_fold_set(photos.subset(split.held), seed), photos, split.measured, split.held_pairs, resize, on
    )
    before, pairs_before = _report_before(out, start.module, start.config, measuring)
    trainer = _trainer(start.module, config, photos.subset(split.trained), views, view_resize, seed, on, out)
    first_step = trainer.step
    source = FilePhotos([photos.files[number] for number in split.trained])
    with closing(open_executor(views_from, source, device=device, num_workers=num_workers)) as executor:
        waited_share = _run_steps(trainer, views, executor, measuring, out, failures, progress)
    after, pairs_after = measuring.report(trainer.ema, resize)
    num_trained = len(split.trained)
    note = f"trained by asl_fast on {num_trained} photos, {settings.num_steps} steps from {settings.start}"
    save_descriptor(out / "model", trainer.ema, dataclasses.replace(config, note=note))
    write_json(
        out / "evaluation.json", _told("before", before, pairs_before) | _told("after", after, pairs_after)
    )
    return Outcome(
        before=before,
        after=after,
        num_trained=num_trained,
        num_held_back=len(split.held),
        failures=failures,
        first_step=first_step,
        num_pairs=len(split.train_set.pairs),
        num_pairs_apart=split.num_pairs_apart,
        pairs_before=pairs_before,
        pairs_after=pairs_after,
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
    measuring: _Measuring,
    out: Path,
    failures: list[Failure],
    progress: bool,
) -> float:
    """The steps that are left; return the share of their time that was spent waiting for views."""
    settings = trainer.settings
    waited_s = busy_s = 0.0
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
            if settings.evaluate_every and trainer.step % settings.evaluate_every == 0:
                scalars |= _fold_scalars(trainer, measuring)
            log.add(step, scalars)
            bar.set_postfix_str(
                f"metric {scalars['loss/metric']:.2f} ratio {scalars['loss/ratio']:.3f}", refresh=False
            )
            bar.update()
            if trainer.step == settings.num_steps or (
                settings.save_every and trainer.step % settings.save_every == 0
            ):
                save_checkpoint(out / "checkpoint", trainer.state(), trainer.step)
            asked = time.perf_counter()
    return waited_s / max(waited_s + busy_s, 1e-9)


def _fold_scalars(trainer: Trainer, measuring: _Measuring) -> dict[str, float]:
    fold, pairs = measuring.report(trainer.ema, measuring.resize)
    scalars = {f"eval/{name}": float(value) for name, value in fold.to_dict().items()}
    told = {} if pairs is None else pairs.to_dict()
    return scalars | {f"eval/pairs_{name}": float(value) for name, value in told.items()}


def _told(when: str, fold: FoldReport, pairs: PairReport | None) -> dict[str, Any]:
    return {when: fold.to_dict()} | ({} if pairs is None else {f"pairs_{when}": pairs.to_dict()})


def _report_before(
    out: Path, module: torch.nn.Module, config: DescriptorConfig, measuring: _Measuring
) -> tuple[FoldReport, PairReport | None]:
    """The start model's report; a resumed run reads what it measured the first time."""
    path = out / "evaluation.json"
    if path.exists():
        told = json.loads(path.read_text(encoding="utf-8"))
        pairs = told.get("pairs_before")
        return FoldReport(**told["before"]), PairReport(**pairs) if pairs else None
    resize = Resize(edge_px=config.edge_px, mode=config.resize_mode)
    fold, report = measuring.report(module, resize)
    write_json(path, _told("before", fold, report))
    return fold, report

"""Training from start to end: photos, held-back fold, steps, checkpoints, and the model folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.images import Failure, ImageFile, Resize
from asl_fast.models import DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.training.checkpoint import load_checkpoint, save_checkpoint
from asl_fast.training.evaluation import FoldReport, FoldSet, evaluate_fold, make_fold_set
from asl_fast.training.fold import groups_of, hold_back
from asl_fast.training.log import RunLog
from asl_fast.training.photos import Photos, read_photos
from asl_fast.training.settings import TrainSettings
from asl_fast.training.start import start_descriptor, start_loss
from asl_fast.training.trainer import Trainer
from asl_fast.training.views import Views

_PHOTO_EDGES = 2  # photos are kept at this many times the views' edge: a crop of a quarter is then sharp


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did. before: the start model as it came, at its own resolution.  after: the EMA model."""

    before: FoldReport
    after: FoldReport
    num_trained: int
    num_held_back: int
    failures: list[Failure]
    first_step: int


class _Fold(NamedTuple):
    pictures: FoldSet
    resize: Resize
    device: torch.device


def train(
    files: Sequence[ImageFile],
    out: Path,
    settings: TrainSettings,
    *,
    seed: int,
    folder: Path,
    device: str = "cpu",
    num_threads: int = 1,
    progress: bool = True,
) -> Outcome:
    """Train on `files`; leave model/, checkpoint/, metrics.jsonl, tensorboard/ and evaluation.json in `out`.

    Goes on from the checkpoint in `out` if there is one; the same command killed at any step and run again
    ends with the same weights. folder: where the images lie, for its manifest.csv.
    """
    start = load_descriptor(settings.start, device)
    config = dataclasses.replace(start.config, edge_px=settings.edge_px or start.config.edge_px)
    _check_same_run(out, _identity(files, settings, seed, start.fingerprint))
    on = torch.device(device)
    photos, failures = read_photos(
        files, _PHOTO_EDGES * config.edge_px, num_threads=num_threads, progress=progress
    )
    trained, held = hold_back(groups_of(photos.files, folder), settings.held_back_share, seed)
    resize = Resize(edge_px=config.edge_px, mode=config.resize_mode)
    view_resize = Resize(edge_px=settings.view_edge_px or config.edge_px, mode=config.resize_mode)
    fold = _Fold(make_fold_set(photos.subset(held), seed), resize, on)
    before = _report_before(out, start.module, start.config, fold)
    training_photos = photos.subset(trained)
    trainer = _trainer(start.module, config, training_photos, view_resize, settings, seed, on)
    saved = load_checkpoint(out / "checkpoint")
    if saved:
        trainer.load_state(*saved)
    first_step = trainer.step
    _run_steps(trainer, Views(training_photos, view_resize, settings, seed), fold, out, progress)
    after = evaluate_fold(trainer.ema, resize, fold.pictures, on)
    note = f"trained by asl_fast on {len(trained)} photos, {settings.num_steps} steps from {settings.start}"
    save_descriptor(out / "model", trainer.ema, dataclasses.replace(config, note=note))
    _write_json(out / "evaluation.json", {"before": before.to_dict(), "after": after.to_dict()})
    return Outcome(
        before=before,
        after=after,
        num_trained=len(trained),
        num_held_back=len(held),
        failures=failures,
        first_step=first_step,
    )


def _trainer(
    module: torch.nn.Module,
    config: DescriptorConfig,
    photos: Photos,
    resize: Resize,
    settings: TrainSettings,
    seed: int,
    device: torch.device,
) -> Trainer:
    torch.manual_seed(seed)
    descriptor = start_descriptor(module, config, settings.start)
    loss = start_loss(descriptor, photos, resize, settings, device)
    return Trainer(descriptor, loss, settings, seed, device)


def _run_steps(trainer: Trainer, views: Views, fold: _Fold, out: Path, progress: bool) -> None:
    settings = trainer.settings
    with (
        RunLog(out, trainer.step) as log,
        tqdm(
            total=settings.num_steps, initial=trainer.step, desc="train", unit="step", disable=not progress
        ) as bar,
    ):
        for batch in views.batches(trainer.step, settings.num_steps):
            step = trainer.step
            scalars = trainer.train_step(batch)
            if settings.evaluate_every and trainer.step % settings.evaluate_every == 0:
                scalars |= _fold_scalars(trainer, fold)
            log.add(step, scalars)
            bar.set_postfix_str(
                f"metric {scalars['loss/metric']:.2f} ratio {scalars['loss/ratio']:.3f}", refresh=False
            )
            bar.update()
            if trainer.step == settings.num_steps or (
                settings.save_every and trainer.step % settings.save_every == 0
            ):
                save_checkpoint(out / "checkpoint", trainer.state(), trainer.step)


def _fold_scalars(trainer: Trainer, fold: _Fold) -> dict[str, float]:
    report = evaluate_fold(trainer.ema, fold.resize, fold.pictures, fold.device)
    return {f"eval/{name}": float(value) for name, value in report.to_dict().items()}


def _report_before(out: Path, module: torch.nn.Module, config: DescriptorConfig, fold: _Fold) -> FoldReport:
    """The start model's report; a resumed run reads what it measured the first time."""
    path = out / "evaluation.json"
    if path.exists():
        return FoldReport(**json.loads(path.read_text(encoding="utf-8"))["before"])
    resize = Resize(edge_px=config.edge_px, mode=config.resize_mode)
    report = evaluate_fold(module, resize, fold.pictures, fold.device)
    _write_json(path, {"before": report.to_dict()})
    return report


def _identity(
    files: Sequence[ImageFile], settings: TrainSettings, seed: int, fingerprint: str
) -> dict[str, Any]:
    """What must be equal for a run to be the same run, in JSON's own types."""
    listed = "\n".join(file.id for file in files)
    identity = settings.to_dict() | {
        "seed": seed,
        "start_fingerprint": fingerprint,
        "num_images": len(files),
        "images_sha256": hashlib.sha256(listed.encode()).hexdigest(),
    }
    return dict(json.loads(json.dumps(identity)))


def _check_same_run(out: Path, identity: dict[str, Any]) -> None:
    """Write config.json, or InputError if the one that is there tells of another run."""
    path = out / "config.json"
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        for name, value in identity.items():
            if known.get(name) != value:
                raise InputError(
                    f"--out {out} holds a run with {name} = {known.get(name)}, this one has {value}; "
                    "give the same options to go on with it, or another --out"
                )
    _write_json(path, identity)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

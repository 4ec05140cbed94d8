"""Training from start to end: photos, held-back fold, steps, checkpoints, and the model folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.backends import cudnn

from asl_fast.files import replacing
from asl_fast.images import Failure, ImageFile, Resize
from asl_fast.losses import Ranks
from asl_fast.models import DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.training.best import Best
from asl_fast.training.checkpoint import has_checkpoint, load_checkpoint
from asl_fast.training.evaluation import FoldReport, make_fold_set
from asl_fast.training.executors import check_input, open_executor
from asl_fast.training.measuring import Measured, Measuring, write_reports
from asl_fast.training.pair_ratios import PairReport
from asl_fast.training.pairs import FilePair, number_pairs
from asl_fast.training.photos import Photos, read_photos
from asl_fast.training.same_run import check_same_run, record_start, run_identity
from asl_fast.training.settings import TrainSettings
from asl_fast.training.split import split_photos
from asl_fast.training.start import new_loss, start_classes, start_descriptor
from asl_fast.training.steps import Watch, run_steps
from asl_fast.training.team import Team
from asl_fast.training.trainer import Trainer
from asl_fast.training.views import Views
from asl_fast.views import FilePhotos

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
    team: Team | None = None,
) -> Outcome:
    """Train on `files`; leave model/, best/, checkpoint/, metrics.jsonl, tensorboard/, evaluation.json.

    Goes on from the checkpoint in `out` if there is one; the same command killed at any step and run again
    ends with the same weights. folder: where the images lie, for its manifest.csv.  pairs: hard negatives,
    of photos in `files` or not.  views_from: one of INPUTS.
    num_workers: processes that make views, 0 = this one makes them, between its steps.
    team: if given, all its processes call this with the same arguments; each has its share of the photos of a
    batch and of the classes, and together they do what one alone would (up to the order of sums).
    """
    team = team or Team()
    check_input(views_from)
    start = load_descriptor(settings.start, device)
    config = dataclasses.replace(
        start.config,
        edge_px=settings.edge_px or start.config.edge_px,
        gain_width=settings.gain_width or start.config.gain_width,
    )
    identity = run_identity(files, pairs, settings, seed, views_from, start.fingerprint)
    check_same_run(out, identity, team)
    on = torch.device(device)
    listed, numbered = number_pairs(files, pairs)
    photos, failures = read_photos(
        listed,
        _PHOTO_EDGES * config.edge_px,
        num_threads=num_threads,
        progress=progress and team.leads,
        team=team,
    )
    split = split_photos(photos, listed, len(files), numbered, folder, settings.held_back_share, seed)
    view_resize = Resize(edge_px=settings.view_edge_px or config.edge_px, mode=config.resize_mode)
    views = Views(split.train_set, view_resize, settings, seed, rank=team.rank, world_size=team.world_size)
    num_trained = len(split.trained)
    note = f"trained by asl_fast on {num_trained} photos, {settings.num_steps} steps from {settings.start}"
    told_config = dataclasses.replace(config, note=note)
    watch = before = None
    if team.leads:
        _list_held_back(out, [photos.files[number] for number in split.held])
        fold = make_fold_set(photos.subset(split.held), seed)
        resize = Resize(edge_px=config.edge_px, mode=config.resize_mode)
        measuring = Measuring(fold, photos, split.measured, split.held_pairs, resize, on)
        watch = Watch(measuring, Best(out / "best", told_config))
        before = measuring.report_before(out, start.module, start.config)
    trained = photos.subset(split.trained)
    trainer = _trainer(start.module, config, trained, views, view_resize, seed, on, out, team)
    first_step = trainer.step
    if team.leads:
        ran_on = {"processes": team.world_size, "num_threads": torch.get_num_threads()}
        record_start(out, first_step, device=device, **ran_on)
    source = FilePhotos(trained.files)
    with (
        closing(open_executor(views_from, source, device=device, num_workers=num_workers)) as executor,
        cudnn.flags(enabled=True, benchmark=False, deterministic=True),  # or a resumed run differs
    ):
        done = run_steps(trainer, views, executor, watch, out, progress=progress and team.leads)
    for told in team.tell([dataclasses.asdict(failure) for failure in done.failures]):
        failures += [Failure(**failure) for failure in told]
    reports: dict[str, Any] = {}
    if watch is not None and before is not None:
        after = done.measured or watch.report(trainer)
        save_descriptor(out / "model", trainer.ema, told_config)
        reports = write_reports(out, before, after) | {"best_step": watch.best.step}
    reports = team.tell(reports)[0]
    before, after = (Measured.from_told(reports, when) for when in ("before", "after"))
    return Outcome(
        before=before.fold,
        after=after.fold,
        num_trained=num_trained,
        num_held_back=len(split.held),
        failures=failures,
        first_step=first_step,
        best_step=reports["best_step"],
        num_pairs=len(split.train_set.pairs),
        num_pairs_apart=split.num_pairs_apart,
        pairs_before=before.pairs,
        pairs_after=after.pairs,
        waited_share=done.waited_share,
    )


def _list_held_back(out: Path, files: Sequence[ImageFile]) -> None:
    """held_back.txt: photos that can calibrate this model. A member of a tar shard has no path to list."""
    with replacing(out / "held_back.txt") as path:
        lines = [f"{Path(file.path).resolve()}\n" for file in files if file.member is None]
        path.write_text("".join(lines), encoding="utf-8")


def _trainer(
    module: torch.nn.Module,
    config: DescriptorConfig,
    photos: Photos,
    views: Views,
    resize: Resize,
    seed: int,
    device: torch.device,
    out: Path,
    team: Team,
) -> Trainer:
    """At the start, or where the checkpoint in `out` left off."""
    settings = views.settings
    torch.manual_seed(seed)
    descriptor = start_descriptor(module, config, settings.start)
    ranks = Ranks(views.num_classes, team.group)
    loss = new_loss(views.num_classes, descriptor.num_dims, settings, ranks)
    resumed = has_checkpoint(out / "checkpoint")
    if not resumed:
        start_classes(loss, descriptor, photos, views.class_N, resize, device)
    trainer = Trainer(descriptor, loss, settings, seed, device)
    if resumed:
        trainer.load_state(*load_checkpoint(out / "checkpoint", ranks, trainer.class_prefixes))
    return trainer

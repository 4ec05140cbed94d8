"""Train a descriptor on a folder of photos: a photo is a class, its nested and edited crops are its views.

A fifth of the photos, 4,096 at most, is held back (whole groups, where the folder has a manifest.csv with
`file` and `group` columns) and measured before and after. --pairs adds hard negatives: photos that look alike
without being copies of each other; the mean ratio of their norms is told, read both ways. The run folder gets
model/ (for --model), best/ (the same as of the step that did best on the photos held back: uAP after the
ratio filter), run.png, evaluation.json, metrics.jsonl, tensorboard/, config.json and checkpoint/. Stopped at
any moment, the same command goes on from the last checkpoint and ends with the same weights.

Several processes, one for each GPU with --device cuda, share a batch and the class weights: start them by
torchrun, which ends all of them when one fails. They learn what one process would.

example:
  asl-fast train --images photos/ --out runs/one
  asl-fast train --images photos/ --pairs pairs.csv --out runs/two      # file_a,file_b,direction
  asl-fast train --images photos/ --pairs negative_pair/ --out runs/three   # <n>/{T000001.jpg, other.jpg}
  torchrun --nproc-per-node 4 -m asl_fast.train --images photos/ --recipe paper --device cuda --out runs/four
  asl-fast search --model runs/one/model --refs refs/ --queries queries/ --out matches.csv
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asl_fast.embeddings import write_failures
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.images import ImageFile, find_images
from asl_fast.models import check_device
from asl_fast.recipes import RECIPES
from asl_fast.training import (
    INPUTS,
    NDEC_ORDERS,
    PAIR_CLASSES,
    PAIR_TERMS,
    FilePair,
    Outcome,
    Team,
    TrainSettings,
    joined_team,
    read_pairs,
    train,
    write_run_plot,
)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_argument_group("where")
    where.add_argument("--images", required=True, help="photos: a folder, a .txt or .csv list, .tar shards")
    where.add_argument(
        "--out", required=True, help="run folder; one that holds this run's checkpoint goes on"
    )
    where.add_argument(
        "--pairs",
        help="hard negatives: a CSV with file_a,file_b,direction (a_over_b: a is no copy of b; b_over_a; "
        "none: neither is) or a,b,label; or NDEC's folder negative_pair/ of <n>/{T*.jpg, other}",
    )
    what = parser.add_argument_group("what")
    what.add_argument("--recipe", choices=sorted(RECIPES), default="small", help="default: %(default)s")
    what.add_argument("--steps", type=int, help="instead of the recipe's number of steps")
    what.add_argument("--lr", type=float, help="peak learning rate of the backbone, instead of the recipe's")
    what.add_argument("--save-every", type=int, help="steps between checkpoints, instead of the recipe's")
    what.add_argument("--model", help="start from this model (default: the recipe's)")
    what.add_argument("--limit", type=int, help="use this many of the photos, drawn by the seed")
    what.add_argument("--seed", type=int, default=0, help="of split, order, crops and edits (default: 0)")
    what.add_argument(
        "--pair-classes", choices=PAIR_CLASSES, help="both photos one class (ASL-Positive), or own"
    )
    what.add_argument(
        "--pair-term",
        choices=PAIR_TERMS,
        help="of pairs without direction: equal norms, b the longer, or by chance (default: the recipe's)",
    )
    what.add_argument(
        "--ndec-order",
        choices=NDEC_ORDERS,
        default=NDEC_ORDERS[0],
        help="which photo of NDEC's pairs is no copy of the other (default: %(default)s)",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--ids", choices=("stem", "path"), default="path", help="what names a photo")
    how.add_argument("--device", default="cpu", help="cpu, or cuda for bf16 too (default: cpu)")
    how.add_argument(
        "--input", choices=INPUTS, default="cpu", help="views by worker processes, or by DALI on the device"
    )
    how.add_argument("--threads", type=int, help="CPU threads of a process (default: every core)")
    how.add_argument("--workers", type=int, help="processes that make views, 0 = none (default: --threads)")
    return parser


def run(args: argparse.Namespace, team: Team | None = None) -> int:
    team = team or Team()
    started = time.perf_counter()
    settings = _settings(args)
    out = Path(args.out)
    num_threads = args.threads or team.num_threads()
    torch.set_num_threads(num_threads)
    files = _limited(find_images(args.images, ids=args.ids), args.limit, args.seed)
    pairs: list[FilePair] = []
    if args.pairs is not None:
        pairs = read_pairs(args.pairs, ndec_order=args.ndec_order)
    outcome = train(
        files,
        out,
        settings,
        seed=args.seed,
        folder=Path(args.images),
        pairs=pairs,
        views_from=args.input,
        device=team.device(args.device),
        team=team,
        num_threads=num_threads,
        num_workers=num_threads if args.workers is None else args.workers,
    )
    if not team.leads:
        return DONE
    write_failures(out / "failures.csv", out / "model", outcome.failures)
    write_run_plot(out / "run.png", out / "metrics.jsonl", outcome.before)
    print(_summary(args, settings, outcome, time.perf_counter() - started))
    return PARTIAL if outcome.failures else DONE


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    team = joined_team(args.device)
    return run_command("train", lambda args: team.as_one(run, args), args)


def _settings(args: argparse.Namespace) -> TrainSettings:
    """The recipe with what the flags change; whatever can be refused is refused before any work."""
    counts = (("--steps", 1), ("--save-every", 1), ("--limit", 1), ("--threads", 1), ("--workers", 0))
    for flag, least in counts:
        value = getattr(args, flag[2:].replace("-", "_"))
        if value is not None and value < least:
            raise InputError(f"{flag} must be at least {least}, got {value}")
    if args.lr is not None and not 0 < args.lr < math.inf:
        raise InputError(f"--lr must be above 0, got {args.lr}")
    if args.seed < 0:
        raise InputError(f"--seed must not be negative, got {args.seed}")
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise InputError(f"--out {args.out} is a file; name a folder")
    check_device(args.device)
    settings = RECIPES[args.recipe]
    told = {"num_steps": args.steps, "save_every": args.save_every, "lr": args.lr, "start": args.model}
    changed: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    settings = dataclasses.replace(settings, **changed)
    pairs = settings.pairs
    if args.pair_classes is not None:
        pairs = dataclasses.replace(pairs, classes=args.pair_classes)
    if args.pair_term is not None:
        pairs = dataclasses.replace(pairs, term=args.pair_term)
    return dataclasses.replace(settings, pairs=pairs)


def _limited(files: Sequence[ImageFile], limit: int | None, seed: int) -> list[ImageFile]:
    """`limit` files drawn by the seed from all over the folder, in the folder's order."""
    if limit is None or limit >= len(files):
        return list(files)
    drawn = np.random.default_rng([seed, 0]).permutation(len(files))[:limit]
    return [files[number] for number in sorted(drawn)]


def _summary(args: argparse.Namespace, settings: TrainSettings, outcome: Outcome, seconds: float) -> str:
    before, after = outcome.before, outcome.after
    resumed = f" (from step {outcome.first_step})" if outcome.first_step else ""
    line = (
        f"train: {settings.num_steps} steps{resumed} on {outcome.num_trained} photos "
        f"in {seconds / 60:.1f} min; "
        f"{outcome.num_held_back} held back: uAP {before.uap:.3f} -> {after.uap:.3f}, "
        f"with the ratio filter {before.uap_filtered:.3f} -> {after.uap_filtered:.3f}, "
        f"right directions {before.directions:.0%} -> {after.directions:.0%}; "
        f"{outcome.waited_share:.1%} of the steps' time waiting for views; model in {args.out}/model"
    )
    if outcome.best_step not in (0, settings.num_steps):
        line += f", the best in {args.out}/best, of step {outcome.best_step}"
    if args.pairs is not None:
        line += f"; {_pair_summary(outcome)}"
    if outcome.failures:
        line += f"; {len(outcome.failures)} photos failed, see {args.out}/failures.csv"
    return line


def _pair_summary(outcome: Outcome) -> str:
    line = f"{outcome.num_pairs} hard-negative pairs trained on"
    if outcome.num_pairs_apart:
        line += f", {outcome.num_pairs_apart} left out with one photo held back"
    before, after = outcome.pairs_before, outcome.pairs_after
    if before and after:
        line += (
            f"; of {after.num_pairs} {'held back' if after.held_back else 'of them'} the mean ratio is "
            f"{before.ratio:.3f} -> {after.ratio:.3f}, "
            f"the other way {before.reverse:.3f} -> {after.reverse:.3f}"
        )
    return line


if __name__ == "__main__":
    raise SystemExit(main())

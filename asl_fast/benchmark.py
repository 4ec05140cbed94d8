"""Make a benchmark of copy detection, in the form of DISC21 and NDEC, of a folder of plain photos.

OUT/references/ and OUT/queries/ hold the pictures, OUT/truth.csv what `asl-fast evaluate --truth` reads.
Queries are edited copies of references (in eleven families at three strengths), and three kinds that have no
match: reversed ones (the reference is a part of what the query shows), look-alikes (another photo of the same
group or pair: --groups, --pairs) and easy ones (photos with no kin among the references). OUT/queries.csv
and OUT/references.csv tell all of it, chains included. The same seed and photos give the same bytes.

example:
  asl-fast benchmark make --images photos/ --groups photos/manifest.csv --out bench/
  asl-fast search --refs bench/references --queries bench/queries --out matches.csv
  asl-fast evaluate --matches matches.csv --truth bench/truth.csv

exit status: 0 done, 3 done but some photos can't be used (OUT/skipped.csv), 2 nothing done: an argument must
be mended.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from tqdm import tqdm

from asl_fast import challenge
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.files import write_json
from asl_fast.images import find_images

FORMAT = 1
_LOOK_ALIKES = 200


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    what = "make one of plain photos"
    make = actions.add_parser(
        "make", help=what, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    make.add_argument("--images", required=True, help="photos: folder, list, table or shards")
    make.add_argument("--out", required=True, help="folder to make; it must not be there yet")
    make.add_argument(
        "--groups", nargs="+", default=[], metavar="CSV", help="which photos belong together: file,group"
    )
    make.add_argument(
        "--pairs",
        nargs="+",
        default=[],
        metavar="CSV",
        help="which photos look alike, as `train --pairs` reads",
    )
    make.add_argument(
        "--edits", choices=tuple(challenge.BANKS), default="own",
        help="whose edits: our own (default), or AugLy's, which training never shows (extra `bench`)",
    )  # fmt: skip
    make.add_argument(
        "--copies-per-family",
        type=int,
        default=40,
        metavar="N",
        help="of each of 11 families (default: %(default)s)",
    )
    make.add_argument("--reversed", type=int, default=150, metavar="N", help="default: %(default)s")
    make.add_argument(
        "--look-alikes",
        type=int,
        metavar="N",
        help=f"default: {_LOOK_ALIKES}, or 0 without --groups and --pairs",
    )
    make.add_argument("--easy", type=int, default=200, metavar="N", help="default: %(default)s")
    make.add_argument(
        "--references",
        type=int,
        metavar="N",
        help="most whole photos as references (default: all that are left)",
    )
    make.add_argument(
        "--edge",
        type=int,
        default=1024,
        metavar="PX",
        help="longest edge of a picture (default: %(default)s)",
    )
    make.add_argument("--seed", type=int, default=0)
    return parser


def run(args: argparse.Namespace) -> int:
    return int(globals()[f"_{args.action}"](args))


def _make(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    if args.look_alikes is None:
        args.look_alikes = _LOOK_ALIKES if args.groups or args.pairs else 0
    _check(args)
    bank = challenge.bank_named(args.edits)
    groups, pairs = _groups(args.groups), _pairs(args.pairs)
    with challenge.whole_folder(args.out) as folder:
        files = find_images(args.images, ids="path")
        with _bar(len(files), "read") as bar:
            photos, left_out = challenge.usable_photos(files, args.edge, bar.update)
        kinship = challenge.Kinship.of(photos.files, groups, pairs)
        roles = challenge.give_roles(kinship, _wanted(args), np.random.default_rng([args.seed, 0]))
        references, queries = challenge.plan(roles, bank, args.seed)
        drawing = challenge.Drawing(photos, bank, roles.easy, args.edge)
        with _bar(len(references) + len(queries), "draw") as bar:
            drawing.write(folder, references, queries, bar.update)
        challenge.write_tables(folder, photos, references, queries, left_out)
        counts = {"references": len(references)}
        counts |= {kind: sum(query.kind == kind for query in queries) for kind in challenge.QUERY_KINDS}
        counts |= {"photos_skipped": len(left_out), "photos_not_shown": len(roles.left_out)}
        write_json(folder / "benchmark.json", _told(args, bank, counts))
        said = f"{counts['references']:,} references and {len(queries):,} queries ({_listed(counts)})"
        challenge.write_page(folder, queries, f"{said}, {args.edits} edits, seed {args.seed}")
    seconds = time.perf_counter() - started
    skipped = f"; {len(left_out)} photos skipped, see {args.out}/skipped.csv" if left_out else ""
    print(f"benchmark make: {args.out} holds {said}, {args.edits} edits, {seconds:.1f} s{skipped}")
    return PARTIAL if left_out else DONE


def _wanted(args: argparse.Namespace) -> challenge.Wanted:
    return challenge.Wanted(
        copies=args.copies_per_family * len(challenge.FAMILIES),
        reversed=args.reversed,
        look_alikes=args.look_alikes,
        easy=args.easy,
        references=args.references,
    )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in challenge.QUERY_KINDS)


def _check(args: argparse.Namespace) -> None:
    for flag, number, least, most in (
        ("--copies-per-family", args.copies_per_family, 1, 100_000 // len(challenge.FAMILIES)),
        ("--reversed", args.reversed, 0, 100_000), ("--look-alikes", args.look_alikes, 0, 100_000),
        ("--easy", args.easy, 1, 100_000), ("--references", args.references, 1, 10**6),
        ("--edge", args.edge, 128, 4096), ("--seed", args.seed, 0, 2**63),
    ):  # fmt: skip
        if number is not None and not least <= number <= most:
            raise InputError(f"{flag} must be from {least} to {most}, got {number}")
    if args.look_alikes and not (args.groups or args.pairs):
        raise InputError(
            f"--look-alikes {args.look_alikes} needs --groups or --pairs, which tell what looks alike"
        )


def _groups(sources: list[str]) -> dict[str, str]:
    group_of: dict[str, str] = {}
    for source in sources:
        group_of |= challenge.read_groups(source)
    return group_of


def _pairs(sources: list[str]) -> list[tuple[str, str]]:
    if not sources:
        return []
    from asl_fast.training.pairs import read_pairs  # brings PyTorch, only where there are pairs

    found = [pair for source in sources for pair in read_pairs(source)]
    return [(os.path.realpath(pair.a.path), os.path.realpath(pair.b.path)) for pair in found]


def _told(args: argparse.Namespace, bank: challenge.Bank, counts: dict[str, int]) -> dict[str, Any]:
    options = {name: value for name, value in vars(args).items() if name not in ("action", "out", "seed")}
    versions = {"asl-fast": version("asl-fast"), **bank.versions()}
    return {"format": FORMAT, "seed": args.seed, "counts": counts, "options": options, "versions": versions}


def _bar(total: int, what: str) -> Any:
    return tqdm(total=total, unit="picture", desc=what, file=sys.stderr, delay=1)


def main(argv: list[str] | None = None) -> int:
    return run_command("benchmark", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

"""Draw a contact sheet: photos, their edited copies, where the copies' pixels came from, the edits by name.

--recipe names the edits: `common` (the small training recipe's), `mild`, `bot` (the paper's baseline), `disc`
(after the DISC21 challenge), or `each` for every kind of edit on its own. Photos laid over others come from
--images too. The same seed draws the same sheet.

example:
  asl-fast edits --images photos/ --recipe disc --out sheet.html

exit status: 0 done, 3 done but some pictures failed, 2 nothing done: an argument must be mended.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image

from asl_fast.edits import KINDS, RECIPES, Chain, Fit, Pixels
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.files import check_writable
from asl_fast.images import ImageError, decode, find_images, printable
from asl_fast.reports import SheetRow, write_sheet

EACH = "each"
_KEPT_PX = 512  # edge that photos are decoded near to: the sheet shows no more


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast edits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, help="photos: folder, picture, list, table or shards")
    parser.add_argument("--out", required=True, help="the sheet, as one HTML file")
    parser.add_argument("--recipe", choices=(*RECIPES, EACH), default="disc", help="default: %(default)s")
    parser.add_argument("--strength", type=float, default=1.0, help="0 (none) to 1, the default")
    parser.add_argument("--number", type=int, default=24, help="edited copies to draw (default: %(default)s)")
    parser.add_argument("--edge", type=int, default=224, metavar="PX", help="of the copies, 224 by default")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.strength <= 1:
        raise InputError(f"--strength must be from 0 to 1, got {args.strength}")
    for flag, number, least, most in (
        ("--number", args.number, 1, 10_000), ("--edge", args.edge, 1, 4096), ("--seed", args.seed, 0, 2**63),
    ):  # fmt: skip
        if not least <= number <= most:
            raise InputError(f"{flag} must be from {least} to {most}, got {number}")
    check_writable(args.out, "--out")
    number = len(KINDS) if args.recipe == EACH else args.number
    names, pool, failures = _photos(args.images, number)
    rows = [_row(place, names, pool, args) for place in range(number)]
    write_sheet(args.out, rows, title=f"{args.recipe}, strength {args.strength:g}, seed {args.seed}")
    left_out = f"; {len(failures)} pictures failed, the first {failures[0]}" if failures else ""
    print(f"edits: {number} copies of {len(pool)} photos -> {args.out}{left_out}")
    return PARTIAL if failures else DONE


def _photos(source: str, most: int) -> tuple[list[str], list[Pixels], list[str]]:
    """(ids, pixels, failures) of the first photos that can be read."""
    names: list[str] = []
    pool: list[Pixels] = []
    failures: list[str] = []
    for file in find_images(source):
        if len(pool) == most:
            break
        try:
            photo = Image.fromarray(decode(file.read(), edge_px_hint=_KEPT_PX))
        except (ImageError, OSError) as error:
            failures.append(printable(f"{file.id}: {error}"))
            continue
        photo.thumbnail((2 * _KEPT_PX, 2 * _KEPT_PX))
        names.append(file.id)
        pool.append(np.asarray(photo))
    if not pool:
        raise InputError(f"--images {source}: none of its {len(failures)} pictures can be read")
    return names, pool, failures


def _row(place: int, names: list[str], pool: list[Pixels], args: argparse.Namespace) -> SheetRow:
    rng = np.random.default_rng([args.seed, place])
    photo = pool[place % len(pool)]
    size = (photo.shape[1], photo.shape[0])
    if args.recipe == EACH:
        chain = Chain((list(KINDS.values())[place].sample(rng, args.strength),))
    else:
        chain = RECIPES[args.recipe].sample(rng, args.strength, fit=Fit(edge_px=args.edge), size=size)
    view = chain.view(photo, pool)
    return SheetRow(
        id=names[place % len(pool)],
        photo=photo,
        view=view.pixels,
        region_in_photo=view.trace.region,
        region_in_view=view.trace.region_in_view,
        hidden=view.trace.coverage() - view.trace.mask(),
        content=view.trace.content,
        chain=str(chain),
    )


def main(argv: list[str] | None = None) -> int:
    return run_command("edits", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

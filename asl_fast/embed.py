"""Turn images into embeddings: one raw row a picture, whose direction says what it shows and whose norm how
much of the original content it still holds.

--images takes a folder (with its subfolders), a single picture, a .txt list, a .csv or .parquet table with a
`path` column, or .tar shards. The ending of --out picks the format: .npy (ids, paths and metadata beside
it), .npz, .h5, .hdf5 or .parquet. Pictures that can't be read end up in failures.csv with the reason. A run
that was killed goes on where it was when it is started again.

A picture comes in at the model's own size, unless --edge or --resize say otherwise; both sides of a search
must be embedded alike. With --views every picture gives several rows, `id#view`, which `asl-fast search
--fold max` folds to pictures again:
VIEWS

examples:
  asl-fast embed --images refs/ --out refs.npy
  asl-fast embed --images refs/ --out refs.npy --resize short --edge 200,256,320
  asl-fast embed --images queries/ --out queries.npy --views d2lv-queries

exit status: 0 done, 3 done but some pictures failed, 2 nothing done: an argument must be mended.
"""

from __future__ import annotations

import argparse
import os

from asl_fast.embedder import Embedded, embed_source, load_model
from asl_fast.embeddings import check_out
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.images import MODES, VIEW_SETS, Loader, View, load_batches
from asl_fast.models import check_device
from asl_fast.records import WHOLE_VIEW


def parser() -> argparse.ArgumentParser:
    sets = "\n".join(f"  {name:16} {_words(views)}" for name, views in VIEW_SETS.items())
    parser = argparse.ArgumentParser(
        prog="asl-fast embed",
        description=__doc__.replace("VIEWS", sets),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_argument_group("where")
    where.add_argument("--images", required=True, help="folder, picture, list, table or shards")
    where.add_argument("--out", required=True, help="embeddings to write: .npy, .npz, .h5, .hdf5 or .parquet")
    where.add_argument("--failures", help="list of pictures that failed (default: failures.csv beside --out)")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--model", default="default",
        help="`default`, a model folder, timm:NAME, hf-hub:OWNER/NAME or an SSCD TorchScript .pt file",
    )  # fmt: skip
    how.add_argument("--resize", choices=MODES, help="squash, cut the middle out, or keep proportions")
    how.add_argument(
        "--edge",
        metavar="PX[,PX...]",
        help="edge of the input (short: of its shorter side); several: one row of all",
    )
    how.add_argument("--views", default=WHOLE_VIEW, metavar="SET", help="see above (default: %(default)s)")
    how.add_argument("--ids", choices=("stem", "path"), default="stem", help="what names a picture")
    how.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: %(default)s")
    how.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    how.add_argument(
        "--input", choices=("cpu", "dali"), default="cpu",
        help="what decodes and resizes: this program, or DALI on --device (default: %(default)s)",
    )  # fmt: skip
    how.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: every core)")
    return parser


def run(args: argparse.Namespace) -> int:
    for flag, number in (("--batch-size", args.batch_size), ("--threads", args.threads)):
        if number is not None and not 1 <= number <= 65536:
            raise InputError(f"{flag} must be from 1 to 65536, got {number}")
    check_out(args.out)
    done = embed_source(
        args.images,
        load_model(
            args.model,
            device=args.device,
            loader=_loader(args),
            edges_px=edges(args.edge),
            resize_mode=args.resize,
            views=args.views,
        ),
        out=args.out,
        ids=args.ids,
        batch_size=args.batch_size,
        num_threads=args.threads,
        failures_path=args.failures,
    )
    print(summary(done, args.out))
    return PARTIAL if done.failures else DONE


def _loader(args: argparse.Namespace) -> Loader:
    if args.input == "cpu":
        return load_batches
    if args.views != WHOLE_VIEW or args.resize == "short" or len(edges(args.edge)) > 1:
        raise InputError(
            "--input dali makes one square a picture; --views, --resize short and several --edge need cpu"
        )
    check_device(args.device)
    try:
        from asl_fast.views.dali import DaliLoader
    except ImportError as error:
        raise InputError(f"--input dali: {error}") from error
    return DaliLoader(args.device)


def edges(given: str | None) -> list[int]:
    """Edges in pixels of a text such as 200,256,320; none where none is given."""
    if given is None:
        return []
    try:
        return [int(edge) for edge in given.split(",")]
    except ValueError:
        raise InputError(f"--edge must be pixels, such as 256 or 200,256,320, got {given!r}") from None


def _words(views: tuple[View, ...]) -> str:
    """whole, turn-90, quarter-1..4"""
    kinds: dict[str, list[str]] = {}
    for view in views:
        kind, _, number = view.name.partition("-")
        kinds.setdefault(kind, []).append(number)
    return ", ".join(
        kind
        + ("-" if numbers[0] else "")
        + (f"{numbers[0]}..{numbers[-1]}" if len(numbers) > 1 else numbers[0])
        for kind, numbers in kinds.items()
    )


def summary(done: Embedded, out: str | os.PathLike[str]) -> str:
    """The closing line."""
    num_rows, num_failed = len(done.embeddings), len(done.failures)
    num_pictures = done.num_pictures
    asides = [f"{num_failed} failed, see {done.failures_path}"] if num_failed else []
    asides += [f"{done.num_resumed} kept from an earlier run"] if done.num_resumed else []
    aside = f" ({'; '.join(asides)})" if asides else ""
    rate = max(0, num_pictures + num_failed - done.num_resumed) / max(done.seconds, 1e-9)
    return (
        f"embed: {num_pictures + num_failed} images{aside} -> {out} "
        f"({num_rows} x {done.embeddings.num_dims}, {rate:.0f} images/s)"
    )


def main(argv: list[str] | None = None) -> int:
    return run_command("embed", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

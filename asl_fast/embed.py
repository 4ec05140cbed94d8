"""Turn images into embeddings: one raw row a picture, whose direction says what it shows and whose norm how
much of the original content it still holds.

--images takes a folder (with its subfolders), a single picture, a .txt list, a .csv or .parquet table with a
`path` column, or .tar shards. The ending of --out picks the format: .npy (ids, paths and metadata beside
it), .npz, .h5, .hdf5 or .parquet. Pictures that can't be read end up in failures.csv with the reason. A run
that was killed goes on where it was when it is started again.

example:
  asl-fast embed --images refs/ --out refs.npy

exit status: 0 done, 3 done but some pictures failed, 2 nothing done: an argument must be mended.
"""

from __future__ import annotations

import argparse
import os

from asl_fast.embedder import Embedded, embed_source, load_model
from asl_fast.embeddings import check_out
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.images import Loader, load_batches
from asl_fast.models import check_device


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast embed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
        load_model(args.model, device=args.device, loader=_loader(args)),
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
    check_device(args.device)
    try:
        from asl_fast.views.dali import DaliLoader
    except ImportError as error:
        raise InputError(f"--input dali: {error}") from error
    return DaliLoader(args.device)


def summary(done: Embedded, out: str | os.PathLike[str]) -> str:
    """The closing line."""
    num_rows, num_failed = len(done.embeddings), len(done.failures)
    asides = [f"{num_failed} failed, see {done.failures_path}"] if num_failed else []
    asides += [f"{done.num_resumed} kept from an earlier run"] if done.num_resumed else []
    aside = f" ({'; '.join(asides)})" if asides else ""
    rate = max(0, num_rows + num_failed - done.num_resumed) / max(done.seconds, 1e-9)
    return (
        f"embed: {num_rows + num_failed} images{aside} -> {out} "
        f"({num_rows} x {done.embeddings.num_dims}, {rate:.0f} images/s)"
    )


def main(argv: list[str] | None = None) -> int:
    return run_command("embed", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

"""Change the directions of embeddings, and keep their norms: whitening, negative embedding subtraction.

References, queries and the background of a search must be transformed alike. A row that is transformed is as
long as it was, so that ratios stay; its fingerprint becomes one of model and treatment together.

  --fit TRAIN --dims E         fit PCA whitening on the directions of TRAIN, and write it as FAISS's .vt
  --whiten W.vt                apply it, or another PCAMatrix or LinearTransform of FAISS
  --subtract-negatives N       from each row subtract BETA x the mean of its K nearest among N, pictures that
                               have no copies: what the winner of DISC21's descriptor track did
With both, rows and negatives are whitened first. Thresholds that come with a model are not found for what is
written: give search the --tau.

examples:
  asl-fast transform --fit train.npy --dims 256 --out whitening.vt
  asl-fast transform --rows refs.npy --whiten whitening.vt --out refs256.npy
  asl-fast transform --rows queries.npy --subtract-negatives train.npy --out apart.npy
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from asl_fast.embeddings import check_out, read_embeddings, write_embeddings
from asl_fast.errors import DONE, InputError, run_command
from asl_fast.files import check_writable
from asl_fast.records import Embeddings
from asl_fast.transforms import (
    SUFFIX,
    Negatives,
    Subtraction,
    Whitening,
    fit_whitening,
    read_whitening,
    transformed,
    write_whitening,
)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast transform", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--fit", metavar="TRAIN", help="embeddings to fit whitening on")
    what.add_argument("--rows", help="embeddings to transform")
    parser.add_argument("--out", required=True, help=f"embeddings, or with --fit a {SUFFIX}")
    parser.add_argument("--dims", type=int, help="dimensions that --fit keeps")
    parser.add_argument("--whiten", metavar="W.vt", help="whitening to apply")
    parser.add_argument("--subtract-negatives", metavar="N", help="embeddings to subtract")
    own = Subtraction()
    parser.add_argument("--beta", type=float, default=own.beta, help="default: %(default)s")
    parser.add_argument("--neighbours", type=int, default=own.k, metavar="K", help="default: %(default)s")
    parser.add_argument("--iterations", type=int, default=own.iterations, help="default: %(default)s")
    parser.add_argument(
        "--unsmoothed", action="store_true", help="take negatives as they are, not averaged with their like"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: every core)")
    return parser


def run(args: argparse.Namespace) -> int:
    if args.threads is not None and args.threads < 1:
        raise InputError(f"--threads must be at least 1, got {args.threads}")
    print(_fit(args) if args.fit else _apply(args))
    return DONE


def _fit(args: argparse.Namespace) -> str:
    if args.dims is None or args.whiten or args.subtract_negatives:
        raise InputError("--fit takes --dims, how many dimensions to keep, and neither of the treatments")
    if Path(args.out).suffix != SUFFIX:
        raise InputError(f"--out {args.out}: whitening is written as FAISS's {SUFFIX}")
    check_writable(args.out, "--out")
    train = read_embeddings(args.fit)
    whitening = fit_whitening(train.row_ND, args.dims, name=train.name)
    write_whitening(args.out, whitening)
    assert whitening.principal is not None
    eigenvalue_D = whitening.principal.eigenvalue_D
    share = eigenvalue_D[: args.dims].sum() / eigenvalue_D.sum()
    return (
        f"transform: whitening of {len(train)} x {train.num_dims} to {args.dims} dimensions, which hold "
        f"{share:.1%} of the variance, written to {args.out}"
    )


def _apply(args: argparse.Namespace) -> str:
    if args.dims is not None:
        raise InputError("--dims goes with --fit; whitening keeps as many as it was fitted to")
    if not (args.whiten or args.subtract_negatives):
        raise InputError("--rows takes --whiten, --subtract-negatives or both; say what to do")
    check_out(args.out)
    started = time.perf_counter()
    how = Subtraction(
        beta=args.beta, k=args.neighbours, iterations=args.iterations, smoothed=not args.unsmoothed
    )
    steps: list[Whitening | Negatives] = [read_whitening(args.whiten)] if args.whiten else []
    rows = read_embeddings(args.rows)
    if args.subtract_negatives:
        steps.append(_negatives(args, rows, steps, how))
    done = transformed(rows, steps)
    write_embeddings(args.out, done)
    return (
        f"transform: {len(done)} x {rows.num_dims} -> {done.num_dims} dimensions in "
        f"{time.perf_counter() - started:.1f} s, written to {args.out}"
    )


def _negatives(
    args: argparse.Namespace, rows: Embeddings, before: list[Whitening | Negatives], how: Subtraction
) -> Negatives:
    negatives = read_embeddings(args.subtract_negatives)
    if negatives.fingerprint and rows.fingerprint and negatives.fingerprint != rows.fingerprint:
        raise InputError(
            f"--subtract-negatives {negatives.name} is of model {negatives.fingerprint[:12]} but --rows "
            f"{rows.name} of {rows.fingerprint[:12]}; embed and treat both alike"
        )
    return Negatives(transformed(negatives, before), how, num_threads=args.threads)


def main(argv: list[str] | None = None) -> int:
    return run_command("transform", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

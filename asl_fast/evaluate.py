"""Measure copy detection against ground truth: uAP, RP90, precision at N, recall at 1, and the curve.

What is measured is either
  --matches M            what search wrote, any CSV of query_id,reference_id,score (then there is no filter to
                         measure), or CopyNCE's JSON of results
  --refs R --queries Q   descriptors (.npy, .npz, .h5, .parquet, CopyNCE's .pth, SSCD's predictions.pt), or
                         pictures, which are embedded first; the best 500,000 pairs of all queries together
                         are found by exact search

--truth is a CSV of query_id,reference_id (an empty reference: the query has no match), or CopyNCE's JSON.
--benchmark takes the queries of DISC21's parts or NDEC, keeps to their limits and says what was published.
A queries.csv of query_id,kind,family beside the truth (or --kinds) adds what is found of each edit family,
and how many reversed, look-alike and easy queries are called a copy.
The numbers are printed, and written with the curve to --out (JSON) and --curve (PNG).

examples:
  asl-fast evaluate --matches matches.csv --truth truth.csv
  asl-fast evaluate --benchmark disc21-dev2 --refs refs.h5 --queries queries.h5 --truth dev_ground_truth.csv
  asl-fast evaluate --refs r.npy --queries q.npy --truth t.csv --score-norm "1.0[0,2]" --background train.npy
  asl-fast evaluate --benchmark ndec --refs r.npy --queries q.npy --truth public_ground_truth_h5.csv
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from asl_fast import reports
from asl_fast.background import bias_of, read_background, score_norm
from asl_fast.embeddings import holds_embeddings, read_embeddings
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.global_search import best_predictions, check_embedded, of_queries
from asl_fast.records import Embeddings
from asl_fast.reports import protocols

SIDES = ("refs", "queries")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--matches", metavar="FILE", help="predictions: CSV of query_id,reference_id,score, or JSON"
    )
    what.add_argument("--refs", help="references: descriptors or pictures")
    what.add_argument("--queries", help="queries: descriptors or pictures")
    what.add_argument("--truth", required=True, help="CSV of query_id,reference_id, or JSON")
    what.add_argument("--kinds", help="CSV of query_id,kind,family (default: queries.csv beside --truth)")
    where = parser.add_argument_group("where to")
    where.add_argument(
        "--out", help="numbers, as JSON (default: NAME.evaluation.json beside what is measured)"
    )
    where.add_argument("--curve", help="the curve, as PNG (default: NAME.evaluation.png beside it)")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--tau", type=float, help="judge anew by the ratios (default: the file's verdicts, else 1)"
    )
    how.add_argument(
        "--threshold", type=float, metavar="SCORE",
        help="score from which on a pair counts as said, for true and false positives and kinds "
        "(default: that of P90 after the filter, or the last of the top N)",
    )  # fmt: skip
    how.add_argument("--benchmark", choices=tuple(protocols.PROTOCOLS), help="whose queries and limits")
    how.add_argument(
        "--track", choices=("matching", "descriptor"), default="matching",
        help="descriptor: rows of at most 256 dimensions (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--max-predictions", type=int, metavar="M",
        help="the best M of all queries together (default: 500,000 from descriptors, else every one)",
    )  # fmt: skip
    how.add_argument(
        "--unlisted", choices=(protocols.REFUSE, protocols.DROP, protocols.COUNT),
        help="queries that the truth doesn't name: an error, left out, or counted as having no match "
        "(default: refuse if the truth lists queries without a match, else count; drop with --benchmark)",
    )  # fmt: skip
    how.add_argument(
        "--missing", choices=("refuse", "miss"), default="refuse",
        help="matches of the truth whose pictures have no row: an error, or not found (default: %(default)s)",
    )  # fmt: skip
    descriptors = parser.add_argument_group("descriptors and pictures")
    for side, one in (("refs", "ref"), ("queries", "query")):
        descriptors.add_argument(
            f"--{one}-ids",
            metavar="FILE",
            help=f"names of the rows of --{side}: one a line, or a CSV with uuid",
        )
    descriptors.add_argument(
        "--norms", nargs=2, metavar=("REF_NORMS", "QUERY_NORMS"),
        help="norms of another network for the ratio: two .npy of norms, or files of embeddings",
    )  # fmt: skip
    descriptors.add_argument(
        "--score-norm", metavar="NORM", help="normalise scores, such as 1.0[0,2]: see asl-fast search --help"
    )
    descriptors.add_argument(
        "--background", metavar="FILE",
        help="embeddings that --score-norm compares queries with (default: those that come with --model)",
    )  # fmt: skip
    descriptors.add_argument("--model", default="default", help="for pictures (default: %(default)s)")
    descriptors.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    descriptors.add_argument("--threads", type=int, help="CPU threads (default: every core)")
    return parser


def run(args: argparse.Namespace) -> int:
    _check(args)
    stem = Path(args.matches or args.queries.rstrip("/"))
    out = Path(args.out or stem.with_name(f"{stem.stem}.evaluation.json"))
    curve = Path(args.curve or stem.with_name(f"{stem.stem}.evaluation.png"))
    _check_outputs(args, {"--out": out, "--curve": curve})
    protocol = protocols.PROTOCOLS[args.benchmark] if args.benchmark else None
    truth = reports.read_truth(args.truth)
    if protocol is not None:
        truth = protocol.part_of(truth)
    kinds = _kinds(args, truth)
    num_failed = 0
    if args.matches:
        predictions = _from_file(args, truth)
    else:
        predictions, num_failed = _from_descriptors(args, truth, out)
    report = reports.evaluate(predictions, truth, tau=args.tau, threshold=args.threshold, kinds=kinds)
    reports.write_json(out, report)
    reports.write_curve(curve, report)
    print(reports.measures_table(report))
    if report.groups:
        print()
        print(reports.groups_table(report))
    remark = f"; {protocol.remark(truth)}" if protocol else ""
    failed = f"; {num_failed} pictures failed, see failures.csv" if num_failed else ""
    print(
        f"evaluate: {len(predictions):,} predictions against {report.num_truth:,} matches of {report.n:,} "
        f"queries ({report.num_distractors:,} more queries have none){remark}{failed}; "
        f"written to {out} and {curve}"
    )
    return PARTIAL if num_failed else DONE


def _check(args: argparse.Namespace) -> None:
    """Refuse what can be refused before any work."""
    if bool(args.matches) == bool(args.refs or args.queries) or bool(args.refs) != bool(args.queries):
        raise InputError("give --matches, or both --refs and --queries")
    if args.tau is not None and not (math.isfinite(args.tau) and args.tau > 0):
        raise InputError(f"--tau must be a finite number above 0, got {args.tau}")
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise InputError(f"--threshold must be a finite score, got {args.threshold}")
    for flag, number in (("--max-predictions", args.max_predictions), ("--threads", args.threads)):
        if number is not None and number < 1:
            raise InputError(f"{flag} must be at least 1, got {number}")
    if args.background and not args.score_norm and not args.matches:
        raise InputError(
            f"--background {args.background} goes with --score-norm; say which, such as 1.0[0,2]"
        )
    if args.matches:
        for flag in ("--norms", "--ref-ids", "--query-ids", "--score-norm", "--background"):
            if getattr(args, flag[2:].replace("-", "_")):
                raise InputError(f"{flag} goes with --refs and --queries, not with --matches")


def _unlisted(args: argparse.Namespace) -> str | None:
    return args.unlisted or (protocols.DROP if args.benchmark else None)


def _from_file(args: argparse.Namespace, truth: reports.Truth) -> reports.Predictions:
    predictions = reports.read_predictions(args.matches)
    reports.check_common_ids(predictions, truth)
    predictions = protocols.counted(predictions, truth, _unlisted(args))
    if args.max_predictions is not None:
        return predictions.best(args.max_predictions, truth)
    if args.benchmark:
        protocols.check_number(predictions)
    return predictions


def _from_descriptors(
    args: argparse.Namespace, truth: reports.Truth, out: Path
) -> tuple[reports.Predictions, int]:
    """Predictions, and the number of pictures that failed."""
    norm = None if args.score_norm is None else score_norm(args.score_norm)
    background = None if norm is None else read_background(args.background, args.model)
    norms = dict(zip(SIDES, args.norms or (None, None), strict=True))
    ids = {"refs": args.ref_ids, "queries": args.query_ids}
    read: dict[str, Embeddings] = {}
    num_failed = 0
    for side in sorted(SIDES, key=lambda side: not holds_embeddings(getattr(args, side))):
        source = getattr(args, side)
        if holds_embeddings(source):
            read[side] = read_embeddings(source, norms_path=norms[side], ids_path=ids[side], side=side)
        else:
            read[side], failed = _embed(args, side, out)
            num_failed += failed
    refs, queries = read["refs"], read["queries"]
    if refs.num_dims != queries.num_dims:
        raise InputError(
            f"--queries {args.queries} has {queries.num_dims} columns but --refs {args.refs} has "
            f"{refs.num_dims}; embed both with the same model"
        )
    if args.track == "descriptor":
        protocols.check_dims(refs.num_dims, args.refs)
    if args.missing == "refuse":
        check_embedded(truth, queries, refs)
    unlisted = _unlisted(args) or (protocols.REFUSE if truth.distractors else protocols.COUNT)
    queries = of_queries(queries, truth, unlisted)
    bias_Q = np.zeros(len(queries))
    if norm is not None and background is not None:
        bias_Q = bias_of(queries, norm, background, args.threads)
    with tqdm(unit=" pairs", unit_scale=True, desc="search", file=sys.stderr, delay=1) as bar:

        def show(pairs_done: int, pairs_in_all: int) -> None:
            bar.total = pairs_in_all
            bar.update(pairs_done - bar.n)

        predictions = best_predictions(
            refs, queries, args.max_predictions or protocols.MAX_PREDICTIONS,
            bias=bias_Q, device=args.device, num_threads=args.threads, progress=show,
        )  # fmt: skip
    return predictions, num_failed


def _embed(args: argparse.Namespace, side: str, out: Path) -> tuple[Embeddings, int]:
    from asl_fast.embedder import embed_source, load_model  # PyTorch, only where there are pictures

    if args.norms:
        raise InputError(f"--norms goes with descriptors on both sides, but --{side} is pictures")
    done = embed_source(
        getattr(args, side),
        load_model(args.model, device=args.device),
        num_threads=args.threads,
        failures_path=out.parent / "failures.csv",
        argument=f"--{side}",
    )
    return done.embeddings, len(done.failures)


def _kinds(args: argparse.Namespace, truth: reports.Truth) -> reports.QueryKinds | None:
    if args.kinds:
        return reports.read_kinds(args.kinds, truth)
    beside = Path(args.truth).with_name("queries.csv")
    return reports.read_kinds(beside, truth) if reports.holds_kinds(beside) else None


def _check_outputs(args: argparse.Namespace, outputs: dict[str, Path]) -> None:
    """Refuse to write over what is read, before any work."""
    for flag, path in outputs.items():
        if path.is_dir():
            raise InputError(f"{flag} {path} is a folder; name a file in it")
        for source_flag in ("--matches", "--truth", "--refs", "--queries", "--kinds"):
            source = getattr(args, source_flag[2:])
            if source and path.resolve() == Path(source).resolve():
                raise InputError(f"{flag} {path} is what {source_flag} reads; name another file")
    if outputs["--out"].resolve() == outputs["--curve"].resolve():
        raise InputError(f"--out and --curve are both {outputs['--out']}; name two files")


def main(argv: list[str] | None = None) -> int:
    return run_command("evaluate", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

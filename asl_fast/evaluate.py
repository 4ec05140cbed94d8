"""Measure copy detection against ground truth: uAP, RP90, precision at N, recall at 1, and the curve.

What is measured is either
  --matches M            what search wrote, any CSV of query_id,reference_id,score (then there is no filter to
                         measure), or CopyNCE's JSON of results
  --refs R --queries Q   descriptors (.npy, .npz, .h5, .parquet, CopyNCE's .pth, SSCD's predictions.pt), or
                         pictures, which are embedded first; the best 500,000 pairs of all queries together
                         are found by exact search, and judged by the model's tau where the rows say that it
                         made them, as asl-fast search does

--truth is a CSV of query_id,reference_id (an empty reference: the query has no match), or CopyNCE's JSON.
--benchmark takes the queries of DISC21's parts or NDEC, keeps to their limits and says what was published.
A queries.csv of query_id,kind,family beside the truth (or --kinds) adds what is found of each edit family,
and how many reversed, look-alike and easy queries are called a copy.
The numbers are printed, and written with the curve to --out (JSON) and --curve (PNG). Intervals are of 95 %,
over queries drawn again (bootstrap). --report PAGE.html shows it all with plots and the worst pairs.

--compare A B sets two files of predictions side by side: what differs, its interval, and how likely chance
alone is to make such a difference (p, of the same queries drawn again for both).

examples:
  asl-fast evaluate --matches matches.csv --truth truth.csv --report evaluation.html
  asl-fast evaluate --benchmark disc21-dev2 --refs refs.h5 --queries queries.h5 --truth dev_ground_truth.csv
  asl-fast evaluate --refs r.npy --queries q.npy --truth t.csv --score-norm "1.0[0,2]" --background train.npy
  asl-fast evaluate --refs r.npy --queries q.npy --truth t.csv --score-norm "stretch:2.5avg[5]"
  asl-fast evaluate --refs r.npy --queries q.npy --truth t.csv --soft-ratio model
  asl-fast evaluate --benchmark ndec --refs r.npy --queries q.npy --truth public_ground_truth_h5.csv
  asl-fast evaluate --compare old.csv new.csv --truth truth.csv
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from asl_fast import reports
from asl_fast.chosen import NONE, SOFT_RATIO_HELP, given_soft
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.evaluated import Evaluated, from_file, from_sides
from asl_fast.evaluation_drawing import draw
from asl_fast.files import write_json
from asl_fast.reports import protocols


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--matches", metavar="FILE", help="predictions: CSV of query_id,reference_id,score, or JSON"
    )
    what.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two files of predictions, side by side")
    what.add_argument("--refs", help="references: descriptors or pictures")
    what.add_argument("--queries", help="queries: descriptors or pictures")
    what.add_argument("--truth", required=True, help="CSV of query_id,reference_id, or JSON")
    what.add_argument("--kinds", help="CSV of query_id,kind,family (default: queries.csv beside --truth)")
    where = parser.add_argument_group("where to")
    where.add_argument(
        "--out", help="numbers, as JSON (default: NAME.evaluation.json beside what is measured)"
    )
    where.add_argument("--curve", help="the curve, as PNG (default: NAME.evaluation.png beside it)")
    where.add_argument(
        "--report", metavar="PAGE", help="numbers, plots and the worst pairs, as one HTML page"
    )
    where.add_argument("--plots", metavar="FOLDER", help="the plots, as PNG")
    where.add_argument(
        "--pictures", nargs=2, metavar=("QUERIES", "REFS"),
        help="pictures for --report, by id (default: those that --queries and --refs name)",
    )  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument(
        "--tau",
        type=float,
        help="judge anew by the ratios (default: the file's verdicts; of descriptors the model's, or else 1)",
    )
    how.add_argument(
        "--threshold", type=float, metavar="SCORE",
        help="score from which on a pair counts as said, for true and false positives and kinds "
        "(default: that of P90 after the filter, or the last of the top N)",
    )  # fmt: skip
    how.add_argument("--benchmark", choices=tuple(protocols.PROTOCOLS), help="whose queries and limits")
    how.add_argument(
        "--track", choices=("matching", "descriptor"), default="matching",
        help="descriptor: rows of at most 256 dimensions; ranked by cosine as ever, which is the order of "
        "the official L2 where rows have length 1; --score-norm stretch:... lengthens queries (default: "
        "%(default)s)",
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
    how.add_argument(
        "--bootstrap", type=int, metavar="N",
        help="resamples of the queries for the intervals, 0 for none (default: 1000; of more than a million "
        "predictions 100)",
    )  # fmt: skip
    how.add_argument("--seed", type=int, default=0, help="of the resamples (default: %(default)s)")
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
    descriptors.add_argument(
        "--soft-ratio", metavar="WEIGHT,TAU", help=f"rank by a soft ratio: {SOFT_RATIO_HELP}"
    )
    descriptors.add_argument(
        "--thresholds", metavar="FILE", help="thresholds.json of asl-fast calibrate, in place of the model's"
    )
    descriptors.add_argument(
        "--model", default="default", help="for pictures, and for tau (default: %(default)s)"
    )
    descriptors.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    descriptors.add_argument("--threads", type=int, help="CPU threads (default: every core)")
    return parser


def run(args: argparse.Namespace) -> int:
    _check(args)
    out, curve = _outputs(args)
    protocol = protocols.PROTOCOLS[args.benchmark] if args.benchmark else None
    truth = reports.read_truth(args.truth)
    if protocol is not None:
        truth = protocol.part_of(truth)
    if args.compare:
        return _compare(args, truth, out, curve)
    kinds = _kinds(args, truth)
    evaluated = _evaluated(args, truth, out)
    predictions = evaluated.predictions
    report = reports.evaluate(
        predictions, truth, tau=evaluated.tau, threshold=args.threshold, kinds=kinds,
        resamples=_resamples(args, predictions), seed=args.seed,
    )  # fmt: skip
    more = {}
    if args.report or args.plots:
        more = draw(
            evaluated, truth, kinds, report, page=args.report, folder=args.plots, pictures=args.pictures
        )
    reports.write_json(out, report, **more)
    reports.write_curve(curve, report)
    print(reports.measures_table(report))
    if report.groups:
        print()
        print(reports.groups_table(report))
    remark = f"; {protocol.remark(truth)}" if protocol else ""
    failed = f"; {evaluated.num_failed} pictures failed, see failures.csv" if evaluated.num_failed else ""
    print(
        f"evaluate: {len(predictions):,} predictions against {report.num_truth:,} matches of {report.n:,} "
        f"queries ({report.num_distractors:,} more queries have none){remark}{failed}{evaluated.remark}; "
        f"written to {', '.join(map(str, filter(None, (out, curve, args.report, args.plots))))}"
    )
    return PARTIAL if evaluated.num_failed else DONE


def _evaluated(args: argparse.Namespace, truth: reports.Truth, out: Path) -> Evaluated:
    if args.matches:
        predictions = from_file(
            args.matches,
            truth,
            unlisted=_unlisted(args),
            most=args.max_predictions,
            is_limited=bool(args.benchmark),
        )
        return Evaluated(predictions=predictions, tau=args.tau)
    return from_sides(
        truth,
        sources={"refs": args.refs, "queries": args.queries},
        ids={"refs": args.ref_ids, "queries": args.query_ids},
        norms=args.norms,
        model=args.model,
        thresholds=args.thresholds,
        tau=args.tau,
        soft_ratio=args.soft_ratio,
        score_normalisation=args.score_norm,
        background=args.background,
        unlisted=_unlisted(args),
        must_have_rows=args.missing == "refuse",
        is_descriptor_track=args.track == "descriptor",
        most=args.max_predictions or protocols.MAX_PREDICTIONS,
        failures_path=out.parent / "failures.csv",
        device=args.device,
        num_threads=args.threads,
    )


def _unlisted(args: argparse.Namespace) -> str | None:
    return args.unlisted or (protocols.DROP if args.benchmark else None)


def _compare(args: argparse.Namespace, truth: reports.Truth, out: Path, curve: Path) -> int:
    a, b = (
        from_file(
            path, truth, unlisted=_unlisted(args), most=args.max_predictions, is_limited=bool(args.benchmark)
        )
        for path in args.compare
    )
    resamples = args.bootstrap or reports.usual_resamples(max(len(a), len(b)))
    comparison = reports.compare(a, b, truth, resamples=resamples, seed=args.seed, tau=args.tau)
    both = tuple(reports.evaluate(each, truth, tau=args.tau, threshold=args.threshold) for each in (a, b))
    write_json(out, {**comparison.as_json(), "reports": [reports.as_json(report) for report in both]})
    names = f"A {Path(args.compare[0]).name}", f"B {Path(args.compare[1]).name}"
    reports.write_png(curve, reports.draw_both_curves(both, names))
    print(reports.comparison_table(comparison))
    print(
        f"evaluate: two files on the same {comparison.n:,} queries with a match; intervals and p of "
        f"{resamples:,} resamples; written to {out} and {curve}"
    )
    return DONE


def _outputs(args: argparse.Namespace) -> tuple[Path, Path]:
    """--out and --curve, or where they go by themselves; refused where they would overwrite what is read."""
    if args.compare:
        a, b = map(Path, args.compare)
        stem = a.with_name(f"{a.stem}-{b.stem}.comparison")
    else:
        measured = Path(args.matches or args.queries)
        stem = measured.with_name(f"{measured.stem}.evaluation")
    outputs = {
        "--out": Path(args.out or f"{stem}.json"),
        "--curve": Path(args.curve or f"{stem}.png"),
        **({"--report": Path(args.report)} if args.report else {}),
    }
    sources = [("--matches", args.matches), ("--truth", args.truth), ("--kinds", args.kinds)]
    sources += [("--refs", args.refs), ("--queries", args.queries)]
    sources += [("--compare", path) for path in args.compare or ()]
    for flag, path in outputs.items():
        if path.is_dir():
            raise InputError(f"{flag} {path} is a folder; name a file in it")
        for source_flag, source in sources:
            if source and path.resolve() == Path(source).resolve():
                raise InputError(f"{flag} {path} is what {source_flag} reads; name another file")
    flags = list(outputs)
    for place, flag in enumerate(flags):
        for other in flags[place + 1 :]:
            if outputs[flag].resolve() == outputs[other].resolve():
                raise InputError(f"{flag} and {other} are both {outputs[flag]}; name two files")
    return outputs["--out"], outputs["--curve"]


def _resamples(args: argparse.Namespace, predictions: reports.Predictions) -> int:
    return reports.usual_resamples(len(predictions)) if args.bootstrap is None else int(args.bootstrap)


def _check(args: argparse.Namespace) -> None:
    """Refuse what can be refused before any work."""
    given = [bool(args.matches), bool(args.compare), bool(args.refs or args.queries)]
    if sum(given) != 1 or bool(args.refs) != bool(args.queries):
        raise InputError("give --matches, or both --refs and --queries, or --compare")
    for flag in ("--report", "--plots", "--kinds", "--pictures"):
        if args.compare and getattr(args, flag[2:]):
            raise InputError(f"{flag} shows one file; measure each by itself with --matches")
    _check_numbers(args)
    if not args.queries:
        for flag in ("--norms", "--ref-ids", "--query-ids", "--score-norm", "--background", "--thresholds"):
            if getattr(args, flag[2:].replace("-", "_")):
                raise InputError(f"{flag} goes with --refs and --queries")
        if args.soft_ratio is not None:
            raise InputError(
                "--soft-ratio goes with --refs and --queries; asl-fast filter shrinks candidates"
            )
    if args.soft_ratio not in (None, NONE) and args.device != "cpu":
        raise InputError("--soft-ratio is searched on the CPU only; take --device cpu")
    given_soft(args.soft_ratio)
    if args.background and not args.score_norm:
        raise InputError(
            f"--background {args.background} goes with --score-norm; say which, such as 1.0[0,2]"
        )


def _check_numbers(args: argparse.Namespace) -> None:
    if args.tau is not None and not (math.isfinite(args.tau) and args.tau > 0):
        raise InputError(f"--tau must be a finite number above 0, got {args.tau}")
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise InputError(f"--threshold must be a finite score, got {args.threshold}")
    for flag, number in (("--max-predictions", args.max_predictions), ("--threads", args.threads)):
        if number is not None and number < 1:
            raise InputError(f"{flag} must be at least 1, got {number}")
    if args.bootstrap is not None and (args.bootstrap < 0 or (args.compare and args.bootstrap < 1)):
        raise InputError(f"--bootstrap must be at least {int(bool(args.compare))}, got {args.bootstrap}")
    if args.seed < 0:
        raise InputError(f"--seed must be at least 0, got {args.seed}")


def _kinds(args: argparse.Namespace, truth: reports.Truth) -> reports.QueryKinds | None:
    if args.kinds:
        return reports.read_kinds(args.kinds, truth)
    beside = Path(args.truth).with_name("queries.csv")
    return reports.read_kinds(beside, truth) if reports.holds_kinds(beside) else None


def main(argv: list[str] | None = None) -> int:
    return run_command("evaluate", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

"""Measure matches against ground truth: uAP, RP90, precision at N, recall at 1, and the curve.

--matches is the file that search wrote, or any CSV of query_id,reference_id,score (then there is no filter to
measure). --truth is a CSV of query_id,reference_id; an empty reference means that the query has no match.
A queries.csv of query_id,kind,family beside the truth (or --kinds) adds what is found of each edit family,
and how many reversed, look-alike and easy queries are called a copy.
The numbers are printed, and written with the curve to --out (JSON) and --curve (PNG).

example:
  asl-fast evaluate --matches matches.csv --truth truth.csv
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from asl_fast import reports
from asl_fast.errors import DONE, InputError, run_command


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--matches", required=True, help="CSV of query_id,reference_id,score and more")
    parser.add_argument("--truth", required=True, help="CSV of query_id,reference_id")
    parser.add_argument("--out", help="numbers, as JSON (default: NAME.evaluation.json beside --matches)")
    parser.add_argument("--curve", help="the curve, as PNG (default: NAME.evaluation.png beside --matches)")
    parser.add_argument("--tau", type=float, help="judge anew by the ratios (default: the file's verdicts)")
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE",
        help="score from which on a pair counts as said, for true and false positives and kinds "
        "(default: that of P90 after the filter, or the last of the top N)",
    )  # fmt: skip
    parser.add_argument("--kinds", help="CSV of query_id,kind,family (default: queries.csv beside --truth)")
    return parser


def run(args: argparse.Namespace) -> int:
    if args.tau is not None and not (math.isfinite(args.tau) and args.tau > 0):
        raise InputError(f"--tau must be a finite number above 0, got {args.tau}")
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise InputError(f"--threshold must be a finite score, got {args.threshold}")
    matches = Path(args.matches)
    out = Path(args.out or matches.with_name(f"{matches.stem}.evaluation.json"))
    curve = Path(args.curve or matches.with_name(f"{matches.stem}.evaluation.png"))
    _check_outputs(args, {"--out": out, "--curve": curve})
    predictions = reports.read_predictions(args.matches)
    truth = reports.read_truth(args.truth)
    report = reports.evaluate(
        predictions, truth, tau=args.tau, threshold=args.threshold, kinds=_kinds(args, truth)
    )
    reports.write_json(out, report)
    reports.write_curve(curve, report)
    print(reports.measures_table(report))
    if report.groups:
        print()
        print(reports.groups_table(report))
    print(
        f"evaluate: {len(predictions):,} predictions against {report.num_truth:,} matches of {report.n:,} "
        f"queries ({report.num_distractors:,} more queries have none); written to {out} and {curve}"
    )
    return DONE


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
        for source_flag, source in (("--matches", args.matches), ("--truth", args.truth)):
            if path.resolve() == Path(source).resolve():
                raise InputError(f"{flag} {path} is what {source_flag} reads; name another file")
    if outputs["--out"].resolve() == outputs["--curve"].resolve():
        raise InputError(f"--out and --curve are both {outputs['--out']}; name two files")


def main(argv: list[str] | None = None) -> int:
    return run_command("evaluate", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

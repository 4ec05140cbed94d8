"""Hold anybody's candidates against norms: the paper's filter for another method's matches.

--candidates are what a method found: a CSV of query_id,reference_id,score, a matches.csv, or CopyNCE's JSON.
The norms of both sides come from --refs and --queries: files of embeddings, or pictures, of which those that
the candidates name are embedded, once each. Without them the ratios that the candidates carry are used.
Each pair gets a verdict, `copy` where |query| / |reference| is at most tau, chosen as asl-fast search does.
Descriptors that are not searched yet: asl-fast search --norms.

Several files are joined: a pair is kept if --found-by of them hold it, and gets the mean (of those that do)
or the best of its scores, which must be on one scale.

--soft-ratio adds soft_score = score - WEIGHT max(0, log(ratio / TAU)), to rank by; `model` takes both from
the model's thresholds. It knows the candidates only: a pair that isn't among them can't move up, as it can in
asl-fast search --soft-ratio. With --truth every tau is tried: --sweep is the curve as PNG, its numbers beside
it as CSV.

Rows come in the order of the candidates; joined ones best score first. A million candidates take 0.25 GB.

examples:
  asl-fast filter --candidates sscd.csv --refs references/ --queries queries/ --out filtered.csv
  asl-fast filter --candidates a.csv b.csv c.csv --found-by 2 --refs refs.npy --queries queries.npy
  asl-fast filter --candidates matches.csv --truth truth.csv --soft-ratio 0.4,0.9
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from asl_fast import reports
from asl_fast.candidate_norms import CandidateNorms
from asl_fast.chosen import SOFT_RATIO_HELP, Chosen, choose, given_soft, look_up
from asl_fast.errors import DONE, InputError, run_command
from asl_fast.files import check_writable
from asl_fast.matching import write_judged
from asl_fast.reports import Predictions
from asl_fast.search_settings import SearchSettings, read_settings, write_settings
from asl_fast.thresholds import SoftRatio

OTHER_SCORES = "another method's"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast filter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--candidates", required=True, nargs="+", metavar="FILE", help="CSV or JSON")
    parser.add_argument("--refs", help="norms of the references: embeddings, or pictures")
    parser.add_argument("--queries", help="norms of the queries: embeddings, or pictures")
    parser.add_argument("--out", default="filtered.csv", help="default: %(default)s")
    parser.add_argument("--only", choices=("copy", "original"), help="write pairs of this verdict only")
    parser.add_argument("--tau", type=float, help="largest ratio of a copy (default: the model's, or else 1)")
    parser.add_argument("--thresholds", metavar="FILE", help="thresholds.json, in place of the model's")
    parser.add_argument("--soft-ratio", metavar="WEIGHT,TAU", help=SOFT_RATIO_HELP)
    join = parser.add_argument_group("several files")
    join.add_argument("--found-by", type=int, default=1, metavar="N", help="default: %(default)s")
    join.add_argument("--score", choices=(reports.MEAN, reports.MAX), default=reports.MEAN)
    truth = parser.add_argument_group("against ground truth")
    truth.add_argument("--truth", help="CSV of query_id,reference_id")
    truth.add_argument("--sweep", help="every tau, as PNG (default: NAME.tau.png beside --out)")
    how = parser.add_argument_group("how pictures are embedded")
    how.add_argument("--model", default="default", help="default: %(default)s")
    how.add_argument("--ids", choices=("stem", "path"), default="stem", help="what names a picture")
    how.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    how.add_argument("--threads", type=int, help="CPU threads (default: every core)")
    return parser


def run(args: argparse.Namespace) -> int:
    sweep = _check(args)
    truth = None if args.truth is None else reports.read_truth(args.truth)
    given_soft(args.soft_ratio)
    lists = [reports.read_predictions(path) for path in args.candidates]
    found_by_P = None
    candidates = lists[0]
    if len(lists) > 1:
        candidates, found_by_P = reports.joined(lists, found_by=args.found_by, score=args.score)
    if not len(candidates):
        raise InputError(f"--candidates: no pair is left of {candidates.name}")
    if truth is not None:
        reports.check_common_ids(candidates, truth)
    settings = read_settings(args.candidates[0]) if len(lists) == 1 else None
    scores = OTHER_SCORES if settings is None else settings.scores
    norms = CandidateNorms(
        candidates, settings, refs=args.refs, queries=args.queries, model=args.model, ids=args.ids,
        device=args.device, num_threads=args.threads,
    )  # fmt: skip
    chosen = choose(
        look_up(args.model, args.thresholds, norms.loaded),
        *norms.sides,
        scores=scores,
        tau=args.tau,
        soft_ratio=args.soft_ratio,
    )
    soft = chosen.soft
    num_copies = write_judged(
        args.out,
        (candidates.query_ids, candidates.query_P),
        (candidates.reference_ids, candidates.reference_P),
        candidates.score_P,
        norms.ratio_P,
        chosen.tau,
        norms=norms.norms,
        soft_score_P=None if soft is None else soft.scores(candidates.score_P, norms.ratio_P),
        found_by_P=found_by_P,
        only=args.only,
    )
    num_written = {None: len(candidates), "copy": num_copies}.get(args.only, len(candidates) - num_copies)
    _write_settings(args, norms, scores, chosen, num_written)
    if truth is not None:
        print(_against_truth(norms.judged(candidates), truth, soft, chosen, sweep))
    print(_summary(args, candidates, chosen, soft, num_copies))
    return DONE


def _check(args: argparse.Namespace) -> Path:
    """Refuse what can be refused before any work; where the sweep goes."""
    if args.tau is not None and not (math.isfinite(args.tau) and args.tau > 0):
        raise InputError(f"--tau must be a finite number above 0, got {args.tau}; 1.0 is the paper's")
    if (args.refs is None) != (args.queries is None):
        missing = "refs" if args.refs is None else "queries"
        raise InputError(f"norms are of both sides; name --{missing} too")
    if not 1 <= args.found_by <= len(args.candidates):
        raise InputError(
            f"--found-by must be from 1 to {len(args.candidates)}, the number of --candidates, "
            f"got {args.found_by}"
        )
    if args.sweep is not None and args.truth is None:
        raise InputError("--sweep needs --truth, the ground truth")
    sweep = Path(args.sweep or Path(args.out).with_suffix(".tau.png"))
    check_writable(args.out, "--out")
    check_writable(sweep, "--sweep")
    for path in args.candidates:
        if Path(path).resolve() == Path(args.out).resolve():
            raise InputError(f"--out {args.out} is what --candidates reads; name another file")
    return sweep


def _write_settings(
    args: argparse.Namespace, norms: CandidateNorms, scores: str, chosen: Chosen, num_written: int
) -> None:
    query_side, ref_side = norms.sides
    same = query_side.norms_fingerprint == ref_side.norms_fingerprint
    write_settings(
        args.out,
        SearchSettings(
            num_matches=num_written,
            refs=args.refs or "",
            queries=args.queries or "",
            norms_fingerprint=query_side.norms_fingerprint if same else "",
            scores=scores,
            direction=args.only or "both",
            tau=chosen.tau,
            tau_from=chosen.tau_from,
        ),
    )


def _against_truth(
    judged: Predictions, truth: reports.Truth, soft: SoftRatio | None, chosen: Chosen, sweep: Path
) -> str:
    """The measures as a table; the sweep goes into its files."""
    report = reports.evaluate(judged, truth, tau=chosen.tau)
    points = reports.tau_sweep(judged, truth)
    reports.write_sweep(sweep, points, tau=chosen.tau, n=report.n)
    best = max(points, key=lambda point: point.uap)
    lines = [
        reports.measures_table(report),
        f"sweep: highest uAP {best.uap:.4f} at tau {best.tau:.4g}; {sweep} and {sweep.with_suffix('.csv')}",
    ]
    if soft is not None and judged.ratio_P is not None:
        shrunk = Predictions(**{**vars(judged), "score_P": soft.scores(judged.score_P, judged.ratio_P)})
        measured = reports.evaluate(Predictions(**{**vars(shrunk), "ratio_P": None}), truth).similarity
        lines.append(f"ranked by soft_score: uAP {measured.uap:.4f}, recall at 1 {measured.recall_at_1:.4f}")
    return "\n".join(lines)


def _summary(
    args: argparse.Namespace,
    candidates: Predictions,
    chosen: Chosen,
    soft: SoftRatio | None,
    num_copies: int,
) -> str:
    parts = [
        f"filter: {len(candidates):,} candidates ({num_copies:,} copy, {len(candidates) - num_copies:,} "
        f"original), written to {args.out}",
        f"tau {chosen.tau:.4g}, {chosen.tau_from}",
    ]
    if len(args.candidates) > 1:
        parts.append(f"found by {args.found_by} of {len(args.candidates)}, {args.score} of their scores")
    if soft is not None:
        parts.append(f"soft_score = {soft.formula}")
    return "; ".join(parts)


def main(argv: list[str] | None = None) -> int:
    return run_command("filter", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

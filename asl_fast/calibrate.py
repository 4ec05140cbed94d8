"""Fit a model's thresholds on labelled matches: tau, the soft ratio, and points of 90, 95 and 99 % precision.

--matches is what `asl-fast search` wrote for queries whose ground truth is --truth, with both directions and
enough of each query (-k 10). The queries must be of photos that the model was not trained on; a folder of
`asl-fast benchmark make` is such a fold. The precision that a point promises is that of a collection with the
same share of copies, look-alikes and reversed pairs.

What is fitted is written to thresholds.json in the folder --model, where `asl-fast search` finds it, or to
--out. Intervals hold 95 % of bootstrap resamples of the queries; held-back figures are of thresholds fitted
without the queries that they judge.

examples:
  asl-fast calibrate --matches matches.csv --truth bench/truth.csv --model runs/one/model
  asl-fast calibrate --matches matches.csv --truth truth.csv --queries bench/queries.csv --out thresholds.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from asl_fast import reports
from asl_fast.calibration import KEPT, PRECISION, SHARE_KEPT, UAP, Fitted, LabelledPairs, calibrate
from asl_fast.chosen import PERCENT
from asl_fast.errors import DONE, InputError, run_command
from asl_fast.files import check_writable
from asl_fast.model_folders import local_folder
from asl_fast.search_settings import SearchSettings, read_settings
from asl_fast.thresholds import COSINE, FILE, Measured, Thresholds, is_shrunk, write_thresholds


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--matches", required=True, help="matches.csv of search or filter")
    parser.add_argument("--truth", required=True, help="CSV of query_id,reference_id")
    parser.add_argument("--model", metavar="FOLDER", help="folder of the model whose norms these are")
    parser.add_argument("--out", metavar="FILE", help=f"thresholds to write (default: {FILE} in --model)")
    parser.add_argument(
        "--queries", metavar="CSV", help="query_id,kind and perhaps family: a table of what passes, by kind"
    )
    parser.add_argument(
        "--precision", nargs="+", type=float, default=[90.0, 95.0, 99.0], metavar="PERCENT",
        help="operating points (default: 90 95 99)",
    )  # fmt: skip
    parser.add_argument(
        "--tau-for", choices=(PRECISION, UAP, KEPT), default=PRECISION,
        help="tau: the one that best rejects wrong pairs and costs no uAP; that of highest uAP; or the "
        f"strictest that {SHARE_KEPT * PERCENT:.0f} %% of the right pairs among the best N pass (default: "
        "%(default)s)",
    )  # fmt: skip
    parser.add_argument("--resamples", type=int, default=200, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def run(args: argparse.Namespace) -> int:
    out = _check(args)
    truth = reports.read_truth(args.truth)
    kinds = None if args.queries is None else reports.read_kinds(args.queries, truth)
    predictions = reports.read_predictions(args.matches)
    settings = read_settings(args.matches)
    fingerprint = _fingerprint(args, settings, len(predictions))
    if predictions.ratio_P is None:
        raise InputError(
            f"--matches {args.matches} has no column ratio; search with asl-fast, or give candidates of "
            "another method their ratios with asl-fast filter"
        )
    reports.check_common_ids(predictions, truth)
    pairs, query_ids = labelled(predictions, truth)
    fitted = calibrate(
        pairs,
        [goal / PERCENT for goal in args.precision],
        tau_for=args.tau_for,
        num_resamples=args.resamples,
        seed=args.seed,
    )
    write_thresholds(
        out,
        Thresholds(
            fingerprint=fingerprint,
            scores=COSINE if settings is None else settings.scores,
            tau=fitted.tau,
            soft=fitted.soft,
            points=fitted.points,
            num_queries=pairs.num_queries,
            num_truth=int(pairs.num_truth_Q.sum()),
            num_pairs=len(pairs),
            made_from=Path(args.matches).name,
        ),
    )
    print(points_table(fitted))
    if kinds is not None:
        print(kinds_table(fitted, pairs, query_ids, kinds))
    print(closing_line(args, fitted, pairs, out))
    return DONE


def _check(args: argparse.Namespace) -> Path:
    """Refuse what can be refused before any work; the file to write."""
    for goal in args.precision:
        if not 0 < goal < PERCENT:
            raise InputError(f"--precision must be percents between 0 and 100, got {goal:g}")
    for flag, number, least in (("--resamples", args.resamples, 2), ("--seed", args.seed, 0)):
        if number < least:
            raise InputError(f"{flag} must be at least {least}, got {number}")
    folder = None if args.model is None else local_folder(args.model)
    if args.model is not None and folder is None:
        raise InputError(f"--model {args.model} is no model folder; thresholds are kept in one, or in --out")
    if folder is None and args.out is None:
        raise InputError("name the folder of the model with --model, or a file with --out")
    out = Path(args.out) if args.out or folder is None else folder / FILE
    check_writable(out, "--out" if args.out else "--model")
    return out


def _fingerprint(args: argparse.Namespace, settings: SearchSettings | None, num_matches: int) -> str:
    """Of the model whose norms these are; what the search wrote beside its matches must agree."""
    searched = ""
    if settings is not None:
        if settings.num_matches != num_matches:
            raise InputError(
                f"{args.matches} has {num_matches} rows, but the .search.json beside it is of "
                f"{settings.num_matches}; search again, or remove it"
            )
        if settings.direction != "both":
            raise InputError(
                f"{args.matches} was searched with --direction {settings.direction}, so tau can't be seen in "
                "it; search with both"
            )
        if is_shrunk(settings.scores):
            raise InputError(
                f"{args.matches} is ranked by a soft ratio ({settings.scores}), which is what would be "
                "fitted; search without --soft-ratio"
            )
        searched = settings.norms_fingerprint
    if args.model is None:
        return searched
    from asl_fast.models import load_descriptor  # PyTorch, only where weights are checked

    loaded = load_descriptor(args.model)
    if searched and searched != loaded.fingerprint:
        raise InputError(
            f"{args.matches} is of norms of model {searched[:12]}, --model {args.model} is "
            f"{loaded.fingerprint[:12]}; embed and search with that model"
        )
    return loaded.fingerprint


def labelled(predictions: reports.Predictions, truth: reports.Truth) -> tuple[LabelledPairs, list[str]]:
    """Labelled pairs, and the ids of their queries: those of the predictions, then others of the truth."""
    if predictions.ratio_P is None:
        raise ValueError(f"{predictions.name}: has no ratios")
    place_of = {identity: place for place, identity in enumerate(predictions.query_ids)}
    for identity in [*sorted(truth.matched_queries), *sorted(truth.distractors)]:
        place_of.setdefault(identity, len(place_of))
    num_truth_Q = np.zeros(len(place_of), np.int64)
    for query_id, _ in truth.pairs:
        num_truth_Q[place_of[query_id]] += 1
    pairs = LabelledPairs(
        score_P=predictions.score_P,
        ratio_P=predictions.ratio_P,
        is_right_P=predictions.are_right(truth),
        query_P=predictions.query_P,
        num_truth_Q=num_truth_Q,
    )
    return pairs, list(place_of)


def points_table(fitted: Fitted) -> str:
    """One line for each operating point, with intervals."""
    rows: list[tuple[str, ...]] = [
        ("precision", "min score", "tau", "on the fold", "recall", "held back", "recall")
    ]
    for point in fitted.points:
        held_back = point.held_back_precision
        rows.append(
            (
                f"{PERCENT * point.goal:g} %",
                _with_interval(point.min_score),
                _with_interval(point.tau),
                _with_interval(point.precision),
                _with_interval(point.recall),
                "nothing passes" if held_back is None else f"{held_back:.3f}",
                f"{point.held_back_recall:.3f}",
            )
        )
    return "\n".join(reports.aligned(rows, "<<<<<<<"))


def kinds_table(fitted: Fitted, pairs: LabelledPairs, query_ids: list[str], kinds: reports.QueryKinds) -> str:
    """For each kind of query, which share of them has a pair that passes: its best pair by tau, any pair by
    each point. For queries with a match only their right pairs count."""
    rules = [("by tau", -np.inf, fitted.tau.value)]
    rules += [(f"{PERCENT * p.goal:g} %", p.min_score.value, p.tau.value) for p in fitted.points]
    counted_P = pairs.is_right_P | (pairs.num_truth_Q[pairs.query_P] == 0)
    best_Q = np.full(pairs.num_queries, -np.inf)
    np.maximum.at(best_Q, pairs.query_P[counted_P], pairs.score_P[counted_P])
    is_best_P = pairs.score_P == best_Q[pairs.query_P]
    kind_Q = np.array([" ".join(kinds.group_of.get(each, ("(no kind)", ""))).rstrip() for each in query_ids])
    rows: list[tuple[str, ...]] = [
        ("queries with a pair that passes", "queries", *(rule[0] for rule in rules))
    ]
    for kind in sorted(set(kind_Q)):
        cells = []
        for _, min_score, tau in rules:
            above_P = is_best_P if min_score == -np.inf else pairs.score_P >= min_score
            passes_P = counted_P & above_P & (pairs.ratio_P <= tau)
            passes_Q = np.bincount(pairs.query_P[passes_P], minlength=pairs.num_queries) > 0
            cells.append(f"{passes_Q[kind_Q == kind].mean():.3f}")
        rows.append((str(kind), f"{(kind_Q == kind).sum():,}", *cells))
    return "\n".join(reports.aligned(rows, "<" + ">" * (len(rules) + 1)))


def closing_line(args: argparse.Namespace, fitted: Fitted, pairs: LabelledPairs, out: Path) -> str:
    held_back, soft = fitted.held_back, fitted.soft
    shrunk = "no soft ratio helps" if soft is None else f"soft ratio: {soft.formula}"
    reached = {point.goal for point in fitted.points}
    missed = [f"{goal:g}" for goal in args.precision if goal / PERCENT not in reached]
    words = f"; {' and '.join(missed)} % precision is not reached on this fold" if missed else ""
    return (
        f"calibrate: {len(pairs):,} pairs of {pairs.num_queries:,} queries, {int(pairs.num_truth_Q.sum()):,} "
        f"matches; tau {_with_interval(fitted.tau)}; {shrunk}; held-back uAP {held_back.alone:.4f} by score "
        f"alone, {held_back.hard:.4f} with tau, {held_back.soft:.4f} with the soft ratio{words}; "
        f"written to {out}"
    )


def _with_interval(measured: Measured) -> str:
    return f"{measured.value:.3f} ({measured.low:.3f} to {measured.high:.3f})"


def main(argv: list[str] | None = None) -> int:
    return run_command("calibrate", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

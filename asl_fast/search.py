"""Find which query pictures are edited copies of which references, and which way round.

Each side is a file of embeddings (.npy, .npz, .h5, .parquet) or pictures (a folder, a .txt or .csv list, .tar
shards), which are embedded first; --refs may be an index folder, too. Every match carries its score (cosine),
its ratio |query| / |reference| and a verdict: `copy` where the ratio is at most tau, `original` where the
query holds more than the reference, so that it can't be a copy of it.

tau is the one that `asl-fast calibrate` fitted for the model whose norms these are, where both are known;
else 1, the paper's. --precision 95 takes tau and --min-score from the model's point of 95 % precision. The
closing line and NAME.search.json beside --out say what was used and where it came from.

What is kept of all pairs that pass --direction:
  -k 10                 the nearest 10 of each query (this is the default)
  --min-score 0.8       every pair from this cosine on, however many; with -k or --best-pairs only such pairs
  --best-pairs 500000   the best 500,000 of all queries together, as in DISC21; with -k at most k a query

With --score-norm a score is the cosine less a bias of its query: BETA times the mean cosine of the query and
its neighbours FIRST to LAST (from 0) in --background, pictures of which nothing is a copy. A query that looks
like many things must then be nearer to count. --min-score and all else that says score mean the difference.
  1.0[0,2]                  BETA[FIRST,LAST], as SSCD writes it
  2.0mean[10], 2.0min[10]   the mean (avg) or the last of the first 10, as in isc2021
  stretch:2.5avg[5]         BoT's descriptor stretching: s (cos - s / 2) with s = 2.5 times that mean, so that
                            1 - 2 score is the squared distance from a query of length s
  default                   1.0[0,2]

--soft-ratio WEIGHT,TAU ranks by score - WEIGHT max(0, log(ratio / TAU)): a query that holds more than the
reference must be nearer to count. It is exact, and all that says score means this one; `model` takes both
numbers from the model's thresholds, which is the default where they fit; `none`, --min-score, --precision or
a GPU leave scores as they are. --tau and --direction hold beside it.

With --fold max, rows of views (`id#view`, see asl-fast embed --views) count by picture: a match is a pair of
pictures, its score that of their best pair of views, its ratio that of the whole pictures. -k 10 then finds
10 pictures, exactly; matches.csv gets two more columns, query_view and reference_view.

examples:
  asl-fast search --refs refs.npy --queries queries/ --out matches.csv --report report.html
  asl-fast search --refs refs.npy --queries queries.npy -k 1 --direction copy
  asl-fast search --refs refs.index --queries queries.npy --min-score 0.8
  asl-fast search --refs refs.npy --queries queries.npy --best-pairs 500000 --tau 0.95
  asl-fast search --refs refs/ --refs-views d2lv-refs --queries q/ --queries-views d2lv-queries --fold max
  asl-fast search --refs refs.npy --queries queries.npy --score-norm "1.0[0,2]" --background train.npy
  asl-fast search --refs refs.npy --queries queries.npy --best-pairs 500000 --soft-ratio none
  asl-fast search --refs refs.npy --queries queries.npy --engine faiss:IVF4096,Flat --engine-param nprobe=32
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asl_fast import matching, reports
from asl_fast.background import read_background, score_norm, scoring_of
from asl_fast.chosen import NONE, SOFT_RATIO_HELP, Chosen, choose, given_soft, look_up
from asl_fast.embeddings import holds_embeddings, read_embeddings
from asl_fast.errors import DONE, PARTIAL, InputError, run_command
from asl_fast.files import check_writable
from asl_fast.folded_search import search_folded
from asl_fast.indexes import FaissIndex, Index, ScoreNorm, Scoring, Searchable
from asl_fast.indexes.faiss_index import library as faiss_library
from asl_fast.indexes.faiss_index import short_words
from asl_fast.indexes.folder import Snapshot, holds_index
from asl_fast.indexes.recall import Recall, measured_recall
from asl_fast.kernels.ratio_search import usable_gpus
from asl_fast.matching import PictureRows
from asl_fast.records import WHOLE_VIEW, Described, Embeddings, Pairs
from asl_fast.search_settings import SearchSettings, write_settings
from asl_fast.thresholds import COSINE, Thresholds, shrunk

DEFAULT_K = 10
EXACT, FAISS = "exact", "faiss:"
Refs = Embeddings | Snapshot
SIDES = ("refs", "queries")
GROUPING_PAYS = 20_000  # queries of one search that save what grouping the references costs


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--refs", required=True, help="references: a file of embeddings, an index, or pictures"
    )
    where.add_argument("--queries", required=True, help="queries: a file of embeddings, or pictures")
    where.add_argument(
        "--out", default="matches.csv", help="matches, best score first (default: %(default)s)"
    )
    where.add_argument("--report", help="also write an HTML page of the pairs, to look at")
    where.add_argument("--failures", help="list of pictures that failed (default: failures.csv beside --out)")
    what = parser.add_argument_group("what")
    what.add_argument(
        "-k", "--k", type=int, help=f"most matches a query (default: {DEFAULT_K} where nothing else limits)"
    )
    what.add_argument("--min-score", type=float, help="keep only pairs with at least this score")
    what.add_argument("--best-pairs", type=int, metavar="M", help="the best M pairs of all queries together")
    what.add_argument(
        "--tau", type=float, help="largest ratio of a copy (default: the model's, or else 1, the paper's)"
    )
    what.add_argument(
        "--precision", type=float, metavar="PERCENT",
        help="take --min-score and --tau from the model's point of this precision: 90, 95 or 99",
    )  # fmt: skip
    what.add_argument(
        "--thresholds", metavar="FILE", help="thresholds.json of asl-fast calibrate, in place of the model's"
    )
    what.add_argument(
        "--direction", choices=("both", "copy", "original"), default="both",
        help="which verdicts to look for; `both` takes the best of either kind (default: %(default)s)",
    )  # fmt: skip
    what.add_argument(
        "--fold", choices=("max",), help="rows of views to pictures, by their best pair of views"
    )
    what.add_argument("--score-norm", metavar="NORM", help="normalise scores, see above")
    what.add_argument(
        "--background", metavar="FILE",
        help="embeddings that --score-norm compares queries with (default: those that come with --model)",
    )  # fmt: skip
    what.add_argument("--soft-ratio", metavar="WEIGHT,TAU", help=f"rank by a soft ratio: {SOFT_RATIO_HELP}")
    what.add_argument(
        "--norms", nargs=2, metavar=("REF_NORMS", "QUERY_NORMS"),
        help="norms of another network for ratio and verdict: two .npy of norms, or files of embeddings",
    )  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument("--model", default="default", help="descriptor for pictures (default: %(default)s)")
    for side in SIDES:
        how.add_argument(
            f"--{side}-views",
            metavar="SET",
            help=f"views of each picture of --{side}: see asl-fast embed --help",
        )
    how.add_argument("--ids", choices=("stem", "path"), default="stem", help="what names a picture")
    how.add_argument(
        "--device", default="cpu",
        help="cpu, cuda (the first GPU), or GPUs by number, such as cuda:1 or cuda:0,1, each of which then "
        "holds an even share of the references; pictures are embedded on the first (default: %(default)s)",
    )  # fmt: skip
    how.add_argument("--threads", type=int, help="CPU threads (default: every core)")
    how.add_argument(
        "--memory-budget", metavar="SIZE",
        help="most memory for the search engine, such as 500M or 2G; more references are read slice by slice",
    )  # fmt: skip
    how.add_argument(
        "--engine", default=EXACT, metavar="ENGINE",
        help="exact; or approximate: faiss:FACTORY, such as faiss:IVF4096,Flat or faiss:HNSW32, "
        "or faiss:FILE.faiss (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--engine-param", action="append", default=[], metavar="NAME=VALUE",
        help="of FAISS: nprobe, efSearch, ...; fetch: candidates over k to begin with",
    )  # fmt: skip
    how.add_argument(
        "--recall-sample", type=int, default=100, metavar="N",
        help="queries that are searched exactly too, to say what FAISS missed (default: %(default)s)",
    )  # fmt: skip
    how.add_argument("--show", type=int, default=0, metavar="N", help="also print the best N matches")
    how.add_argument("--report-pairs", type=int, default=500, metavar="N", help="pairs in the report")
    return parser


def run(args: argparse.Namespace) -> int:
    _check(args)
    started = time.perf_counter()
    norm = None if args.score_norm is None else score_norm(args.score_norm)
    background = None if norm is None else read_background(args.background, args.model)
    refs, queries, num_failed, loaded = _read_sides(args)
    scores = _scores(args, norm, background)
    chosen = _choose(args, refs, queries, loaded, scores)
    num_best = max(args.show, args.report_pairs if args.report else 0)
    short: list[int] = []
    pictures = _pictures(refs, queries) if args.fold else None
    if pictures is not None:
        refs, queries = (side.rows for side in pictures)
    scoring: Scoring = {}
    if norm is not None and background is not None:
        scoring = scoring_of(queries, norm, background, args.threads)
    index = _index(args, refs, len(queries), short)
    scoring["soft"] = chosen.soft
    found = _search(args, index, queries, pictures, scoring)
    shown_refs, shown_queries = pictures or (refs, queries)
    written = matching.write_pairs(args.out, found, shown_queries, shown_refs, args.tau, num_best=num_best)
    write_settings(
        args.out, _settings(args, chosen, refs, queries, shrunk(scores, chosen.soft), written.num_matches)
    )
    if args.report:
        _write_report(args, written, shown_refs, shown_queries)
    if args.show:
        print(reports.table(written.best, args.show, written.num_matches))
    num_found_Q, num_refs = written.num_found_Q, len(refs)
    if pictures is not None:
        num_found_Q, num_refs = pictures[1].by_picture(num_found_Q), pictures[0].num_pictures
    seconds = time.perf_counter() - started
    summary = _summary(args, written, num_found_Q, num_refs, num_failed, sum(short), seconds)
    if norm is not None and background is not None:
        summary += f"; scores normalised by {norm} over {len(background)} rows of {background.name}"
    if args.engine != EXACT and args.recall_sample:
        summary += f"; {_recall(args, index, refs, queries, scoring)}"
    if chosen.soft is not None:
        summary += f"; ranked by {chosen.soft.formula}"
    print(f"{summary}; tau {chosen.tau:.4g}, {chosen.tau_from}")
    return PARTIAL if num_failed else DONE


def _check(args: argparse.Namespace) -> None:
    """Refuse what can be refused before any work."""
    if args.background is not None and args.score_norm is None:
        raise InputError(
            f"--background {args.background} goes with --score-norm; say which, such as 1.0[0,2]"
        )
    are_cosines = args.score_norm is None and args.soft_ratio in (None, NONE)
    limit = 1 if are_cosines else sys.float_info.max
    if args.min_score is not None and not -limit <= args.min_score <= limit:
        what = "a cosine, from -1 to 1" if are_cosines else "a number"
        raise InputError(f"--min-score is {what}, got {args.min_score}")
    if args.precision is not None and (args.tau is not None or args.min_score is not None):
        raise InputError("--precision gives --tau and --min-score; leave them out")
    if args.tau is not None and not (math.isfinite(args.tau) and args.tau > 0):
        raise InputError(f"--tau must be a finite number above 0, got {args.tau}; 1.0 is the paper's")
    for flag, number, least in (
        ("--k", args.k, 1), ("--best-pairs", args.best_pairs, 1), ("--show", args.show, 0),
        ("--report-pairs", args.report_pairs, 1), ("--threads", args.threads, 1),
        ("--recall-sample", args.recall_sample, 0),
    ):  # fmt: skip
        if number is not None and number < least:
            raise InputError(f"{flag} must be at least {least}, got {number}")
    if args.soft_ratio not in (None, NONE) and args.device != "cpu":
        raise InputError(
            "--soft-ratio is searched on the CPU only; take --device cpu, or asl-fast filter after it"
        )
    given_soft(args.soft_ratio)
    _check_engine(args)
    _gpus(args)
    _memory_budget(args)
    for flag, path in (("--out", args.out), ("--report", args.report)):
        if path:
            check_writable(path, flag)


def _choose(
    args: argparse.Namespace, refs: Refs, queries: Embeddings, loaded: Thresholds | None, scores: str
) -> Chosen:
    """The thresholds; from here on args.tau and args.min_score are those that are used."""
    chosen = choose(
        look_up(args.model, args.thresholds, loaded),
        queries,
        refs,
        scores=scores,
        tau=args.tau,
        min_score=args.min_score,
        precision=args.precision,
        soft_ratio=args.soft_ratio,
        device=args.device,
    )
    args.tau, args.min_score = chosen.tau, chosen.min_score
    return chosen


def _scores(args: argparse.Namespace, norm: ScoreNorm | None, background: Embeddings | None) -> str:
    """What kind of score this search gives: thresholds of another kind don't fit it."""
    parts = [COSINE]
    if norm is not None and background is not None:
        parts.append(f"normalised {norm} over {len(background)} rows")
    if args.fold is not None:
        parts.append(f"fold {args.fold}")
    return ", ".join(parts)


def _settings(
    args: argparse.Namespace,
    chosen: Chosen,
    refs: Refs,
    queries: Embeddings,
    scores: str,
    num_matches: int,
) -> SearchSettings:
    same_norms = refs.norms_fingerprint == queries.norms_fingerprint
    return SearchSettings(
        num_matches=num_matches,
        refs=args.refs,
        queries=args.queries,
        norms_fingerprint=refs.norms_fingerprint if same_norms else "",
        scores=scores,
        direction=args.direction,
        tau=chosen.tau,
        tau_from=chosen.tau_from,
        min_score=args.min_score,
        k=args.k,
        best_pairs=args.best_pairs,
        engine=args.engine,
    )


def _pictures(refs: Refs, queries: Embeddings) -> tuple[PictureRows, PictureRows]:
    try:
        return (
            matching.by_picture(refs if isinstance(refs, Embeddings) else refs.embeddings()),
            matching.by_picture(queries),
        )
    except ValueError as error:
        raise InputError(f"--fold: {error}") from None


def _check_engine(args: argparse.Namespace) -> None:
    if args.engine == EXACT:
        if args.engine_param:
            raise InputError(
                f"--engine-param {args.engine_param[0]} is FAISS's; name an --engine faiss:... too"
            )
        return
    if not args.engine.startswith(FAISS) or args.engine == FAISS:
        raise InputError(f"--engine must be exact, faiss:FACTORY or faiss:FILE.faiss, got {args.engine!r}")
    faiss_library()
    _engine_params(args)
    file = _engine_file(args)
    if file is not None and not file.is_file():
        raise InputError(
            f"--engine {args.engine}: there is no file {file}; export one with asl-fast index export"
        )


def _engine_params(args: argparse.Namespace) -> dict[str, float]:
    params = {}
    for given in args.engine_param:
        name, _, value = given.partition("=")
        try:
            params[name] = float(value)
        except ValueError:
            raise InputError(
                f"--engine-param must be NAME=NUMBER, such as nprobe=32, got {given!r}"
            ) from None
    return params


def _engine_file(args: argparse.Namespace) -> Path | None:
    spec = args.engine.removeprefix(FAISS)
    return Path(spec) if spec.endswith(".faiss") else None


def _read_sides(args: argparse.Namespace) -> tuple[Refs, Embeddings, int, Thresholds | None]:
    """References, queries, the number of pictures that failed, and the thresholds of a model that was
    loaded."""
    norms = dict(zip(SIDES, args.norms or (None, None), strict=True))
    read: dict[str, Embeddings] = {}
    index = _open_index(args)
    sides = SIDES if index is None else SIDES[1:]
    pictures = [side for side in sides if not holds_embeddings(getattr(args, side))]
    if pictures and args.norms:
        raise InputError(
            f"--norms goes with embeddings on both sides, but --{pictures[0]} is pictures; embed them first"
        )
    for side in SIDES:
        if getattr(args, f"{side}_views") and side not in pictures:
            raise InputError(
                f"--{side}-views goes with pictures, but --{side} {getattr(args, side)} is embedded already; "
                "give the views to asl-fast embed"
            )
    num_failed, thresholds = 0, None
    for side in sides:  # what is at hand first: a wrong file should not wait for an hour of embedding
        if side not in pictures:
            read[side] = read_embeddings(getattr(args, side), norms_path=norms[side], side=side)
    for side in pictures:
        read[side], failed, thresholds = _embed(args, side)
        num_failed += failed
    queries = read["queries"]
    refs = read["refs"] if index is None else index
    if refs.num_dims != queries.num_dims:
        raise InputError(
            f"--queries {args.queries} has {queries.num_dims} columns but --refs {args.refs} has "
            f"{refs.num_dims}; embed both with the same model"
        )
    if refs.fingerprint and queries.fingerprint and refs.fingerprint != queries.fingerprint:
        raise InputError(
            f"--queries {args.queries} was embedded by model {queries.fingerprint[:12]} but --refs "
            f"{args.refs} by {refs.fingerprint[:12]}; embed both with the same --model, --edge and --resize"
        )
    return refs, queries, num_failed, thresholds


def _open_index(args: argparse.Namespace) -> Snapshot | None:
    """--refs as an index on disk, or None if it is something else."""
    if not holds_index(Path(args.refs)):
        return None
    if args.norms:
        raise InputError(
            f"--norms goes with files of embeddings, but --refs {args.refs} is an index, which holds its "
            "own; build one of embeddings with these norms, or search the file"
        )
    return Snapshot(
        args.refs, device=args.device, num_threads=args.threads, memory_budget=_memory_budget(args),
        keep_prepared=False,
    )  # fmt: skip


def _gpus(args: argparse.Namespace) -> list[int]:
    """CUDA's numbers of the GPUs that --device names."""
    try:
        gpus = usable_gpus(args.device)
    except ValueError as error:
        raise InputError(f"--device {args.device}: {error}") from None
    if len(gpus) > 1 and args.engine != EXACT:
        raise InputError(
            f"--device {args.device} names {len(gpus)} GPUs, but --engine {args.engine} runs on one; name "
            "one, or use --engine exact"
        )
    return gpus


def _memory_budget(args: argparse.Namespace) -> int | None:
    """--memory-budget in bytes; None if it isn't given."""
    if args.memory_budget is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", args.memory_budget.upper())
    if match is None:
        raise InputError(
            f"--memory-budget must be a number of bytes, or one with K, M, G or T, got "
            f"{args.memory_budget!r}; for example 2G"
        )
    return int(float(match[1]) * 2 ** (10 * " KMGT".index(match[2] or " ")))


def _embed(args: argparse.Namespace, side: str) -> tuple[Embeddings, int, Thresholds | None]:
    from asl_fast.embedder import embed_source, load_model  # PyTorch, only where there are pictures

    views = getattr(args, f"{side}_views") or WHOLE_VIEW
    gpus = _gpus(args)
    model = load_model(args.model, device=f"cuda:{gpus[0]}" if gpus else "cpu", views=views)
    done = embed_source(
        getattr(args, side),
        model,
        ids=args.ids,
        num_threads=args.threads,
        failures_path=args.failures or Path(args.out).parent / "failures.csv",
        argument=f"--{side}",
    )
    return done.embeddings, len(done.failures), model.thresholds


def _wants_all_above(args: argparse.Namespace) -> bool:
    """True if nothing but --min-score limits what is found."""
    return args.min_score is not None and args.k is None and args.best_pairs is None


def _index(args: argparse.Namespace, refs: Refs, num_queries: int, short: list[int]) -> Searchable:
    """What to search in. How many queries come up short of an approximate answer is added to `short`."""
    if args.engine == EXACT:
        return _exact_index(args, refs, num_queries)
    file = _engine_file(args)
    return FaissIndex(
        refs if isinstance(refs, Embeddings) else refs.embeddings(),
        args.engine.removeprefix(FAISS) if file is None else None,
        path=file,
        params=_engine_params(args),
        device=args.device,
        num_threads=args.threads,
        tell_short=short.append,
    )


def _exact_index(args: argparse.Namespace, refs: Refs, num_queries: int) -> Searchable:
    if not isinstance(refs, Embeddings):
        return refs
    return Index(
        refs,
        device=args.device,
        num_threads=args.threads,
        memory_budget=_memory_budget(args),
        grouping="auto" if num_queries >= GROUPING_PAYS else "never",
    )


def _recall(
    args: argparse.Namespace,
    index: Searchable,
    refs: Refs,
    queries: Embeddings,
    scoring: Scoring,
) -> Recall:
    return measured_recall(
        index,
        _exact_index(args, refs, args.recall_sample),
        queries,
        k=None if _wants_all_above(args) else args.k or DEFAULT_K,
        tau=args.tau,
        min_score=args.min_score,
        direction=args.direction,
        **scoring,
        sample=args.recall_sample,
    )


def _search(
    args: argparse.Namespace,
    index: Searchable,
    queries: Embeddings,
    pictures: tuple[PictureRows, PictureRows] | None,
    scoring: Scoring,
) -> Iterator[Pairs]:
    with tqdm(unit=" pairs", unit_scale=True, desc="search", file=sys.stderr, delay=1) as bar:

        def show(pairs_done: int, pairs_in_all: int) -> None:
            bar.total = pairs_in_all
            bar.update(pairs_done - bar.n)

        if pictures is not None:
            k = args.k if _wants_all_above(args) or args.best_pairs is not None else args.k or DEFAULT_K
            yield from search_folded(
                index, *pictures, k=k, num_pairs=args.best_pairs, min_score=args.min_score, tau=args.tau,
                direction=args.direction, progress=show, folder=Path(args.out).parent, **scoring,
            )  # fmt: skip
        elif _wants_all_above(args):
            yield from index.pairs_above(
                queries, args.min_score, args.tau,
                direction=args.direction, progress=show, folder=Path(args.out).parent, **scoring,
            )  # fmt: skip
        elif args.best_pairs is not None:
            yield index.best_pairs(
                queries, args.best_pairs, args.tau, args.min_score,
                k=args.k, direction=args.direction, progress=show, **scoring,
            )  # fmt: skip
        else:
            yield index.search(
                queries, args.k or DEFAULT_K, args.tau, args.min_score,
                direction=args.direction, progress=show, **scoring,
            ).pairs()  # fmt: skip


def _write_report(
    args: argparse.Namespace, written: matching.Written, refs: Described, queries: Described
) -> None:
    from asl_fast.pictures import finder

    reports.write_html(
        args.report,
        written.best,
        tau=args.tau,
        query_picture=finder(queries),
        reference_picture=finder(refs),
        max_pairs=args.report_pairs,
        matches_name=Path(args.out).name,
        num_matches=written.num_matches,
    )


def _summary(
    args: argparse.Namespace,
    written: matching.Written,
    num_found_Q: NDArray[np.int64],
    num_refs: int,
    num_failed: int,
    num_short: int,
    seconds: float,
) -> str:
    """The closing line. A search that found less than was asked for is said, never hidden."""
    parts = [
        f"search: {len(num_found_Q)} queries x {num_refs} references -> {written.num_matches} matches "
        f"({written.num_copies} copy, {written.num_matches - written.num_copies} original) "
        f"in {seconds:.1f} s, written to {args.out}"
    ]
    if args.best_pairs is not None:
        if written.num_matches < args.best_pairs:
            parts.append(f"fewer than {args.best_pairs}" + ("" if num_short else ": no other pair passes"))
    elif args.min_score is None:
        asked = min(args.k or DEFAULT_K, num_refs)
        if (short := int((num_found_Q < asked).sum())) > 0:
            why = "" if num_short else ": no other reference passes --direction and --tau"
            parts.append(f"{short} queries have fewer than {asked}{why}")
    elif (none := int((num_found_Q == 0).sum())) > 0:
        parts.append(f"{none} queries have no match")
    if num_short:
        parts.append(short_words(min(num_short, len(num_found_Q))))
    if num_failed:
        parts.append(f"{num_failed} pictures failed, see failures.csv")
    return "; ".join(parts)


def main(argv: list[str] | None = None) -> int:
    return run_command("search", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

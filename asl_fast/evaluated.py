"""What is evaluated: predictions of a file, or descriptors and pictures of both sides searched for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from asl_fast import reports
from asl_fast.background import read_background, score_norm, scoring_of
from asl_fast.chosen import Chosen, choose, look_up
from asl_fast.embeddings import holds_embeddings, read_embeddings
from asl_fast.errors import InputError
from asl_fast.global_search import best_predictions, check_embedded, holds_norms, of_queries
from asl_fast.indexes import Scoring
from asl_fast.records import Embeddings
from asl_fast.reports import protocols
from asl_fast.thresholds import COSINE, Thresholds

SIDES = ("refs", "queries")


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """tau: what the ratios are held against, None where the predictions' own verdicts are taken, or there are
    none.  sides: "refs" and "queries", where they were searched.  remark: how, for the closing line.
    """

    predictions: reports.Predictions
    tau: float | None
    sides: Mapping[str, Embeddings] = field(default_factory=dict)
    num_failed: int = 0
    remark: str = ""


def from_file(
    path: str, truth: reports.Truth, *, unlisted: str | None, most: int | None, is_limited: bool
) -> reports.Predictions:
    """most: the best of all queries together, None for all.  is_limited: to what DISC21 takes."""
    predictions = reports.read_predictions(path)
    reports.check_common_ids(predictions, truth)
    predictions = protocols.counted(predictions, truth, unlisted)
    if most is not None:
        return predictions.best(most, truth)
    if is_limited:
        protocols.check_number(predictions)
    return predictions


def from_sides(
    truth: reports.Truth,
    *,
    sources: Mapping[str, str],
    ids: Mapping[str, str | None],
    norms: Sequence[str] | None,
    model: str,
    thresholds: str | None,
    tau: float | None,
    soft_ratio: str | None,
    score_normalisation: str | None,
    background: str | None,
    unlisted: str | None,
    must_have_rows: bool,
    is_descriptor_track: bool,
    most: int,
    failures_path: str | os.PathLike[str],
    device: str = "cpu",
    num_threads: int | None = None,
) -> Evaluated:
    """The best pairs of all queries together, judged and ranked as `asl-fast search` would.

    sources, ids: by side.  norms: of another network, references first.  Others as the options of `asl-fast
    evaluate` that they come from.
    """
    norm = None if score_normalisation is None else score_norm(score_normalisation)
    others = None if norm is None else read_background(background, model)
    sides, num_failed, loaded = _read_sides(
        sources, ids, norms, model=model, device=device, num_threads=num_threads, failures_path=failures_path
    )
    refs, queries = sides["refs"], sides["queries"]
    if is_descriptor_track:
        protocols.check_dims(refs.num_dims, sources["refs"])
    scores = (
        COSINE if norm is None or others is None else f"{COSINE}, normalised {norm} over {len(others)} rows"
    )
    chosen = choose(
        look_up(model, thresholds, loaded), queries, refs, scores=scores, tau=tau, soft_ratio=soft_ratio,
        device=device,
    )  # fmt: skip
    has_norms = holds_norms(refs, queries)
    if not has_norms and chosen.soft is not None:
        raise InputError(
            f"--soft-ratio: rows of {sources['queries']} and {sources['refs']} have length 1, which holds no "
            "norm; give --norms"
        )
    queries = of_queries(
        queries, truth, unlisted or (protocols.REFUSE if truth.distractors else protocols.COUNT)
    )
    if must_have_rows:
        check_embedded(truth, queries, refs)
    scoring: Scoring = {}
    if norm is not None and others is not None:
        scoring = scoring_of(queries, norm, others, num_threads)
    scoring["soft"] = chosen.soft
    with tqdm(unit=" pairs", unit_scale=True, desc="search", file=sys.stderr, delay=1) as bar:

        def show(pairs_done: int, pairs_in_all: int) -> None:
            bar.total = pairs_in_all
            bar.update(pairs_done - bar.n)

        predictions = best_predictions(
            refs,
            queries,
            most,
            tau=chosen.tau,
            device=device,
            num_threads=num_threads,
            progress=show,
            **scoring,
        )
    return Evaluated(
        predictions=predictions,
        tau=chosen.tau if has_norms or tau is not None else None,
        sides=sides,
        num_failed=num_failed,
        remark=_remark(chosen, has_norms),
    )


def _remark(chosen: Chosen, has_norms: bool) -> str:
    ranked = "" if chosen.soft is None else f"; ranked by {chosen.soft.formula}"
    return f"{ranked}; tau {chosen.tau:.4g}, {chosen.tau_from}" if has_norms else ranked


def _read_sides(
    sources: Mapping[str, str],
    ids: Mapping[str, str | None],
    norms: Sequence[str] | None,
    *,
    model: str,
    device: str,
    num_threads: int | None,
    failures_path: str | os.PathLike[str],
) -> tuple[dict[str, Embeddings], int, Thresholds | None]:
    """Rows by side, the number of pictures that failed, and the thresholds of a model that was loaded."""
    norms_of = dict(zip(SIDES, norms or (None, None), strict=True))
    read: dict[str, Embeddings] = {}
    num_failed, loaded = 0, None
    for side in sorted(SIDES, key=lambda side: not holds_embeddings(sources[side])):
        source = sources[side]
        if holds_embeddings(source):
            read[side] = read_embeddings(source, norms_path=norms_of[side], ids_path=ids[side], side=side)
            continue
        if norms:
            raise InputError(f"--norms goes with descriptors on both sides, but --{side} is pictures")
        from asl_fast.embedder import embed_source, load_model  # PyTorch, only where there are pictures

        embedder = load_model(model, device=device)
        done = embed_source(
            source,
            embedder,
            num_threads=num_threads,
            failures_path=Path(failures_path),
            argument=f"--{side}",
        )
        read[side], loaded = done.embeddings, embedder.thresholds
        num_failed += len(done.failures)
    refs, queries = read["refs"], read["queries"]
    if refs.num_dims != queries.num_dims:
        raise InputError(
            f"--queries {sources['queries']} has {queries.num_dims} columns but --refs {sources['refs']} has "
            f"{refs.num_dims}; embed both with the same model"
        )
    return read, num_failed, loaded

"""models + embeddings + indexes: what score normalisation tells a search of each query."""

from __future__ import annotations

import os

from asl_fast.embeddings import read_embeddings
from asl_fast.errors import InputError
from asl_fast.indexes import Index, ScoreNorm, Scoring
from asl_fast.records import Embeddings

DEFAULT = "default"
_DEFAULT_NORM = ScoreNorm(1.0, 0, 2)  # SSCD's, and what the field compares by


def score_norm(text: str) -> ScoreNorm:
    """What --score-norm says. InputError if it says nothing that is known."""
    try:
        return _DEFAULT_NORM if text == DEFAULT else ScoreNorm.parse(text)
    except ValueError as error:
        raise InputError(f"--score-norm: {error}") from None


def read_background(path: str | os.PathLike[str] | None, model: str) -> Embeddings:
    """Background rows of a file of embeddings; None: those that come with the model."""
    if path is not None:
        return read_embeddings(path)
    from asl_fast.models import BACKGROUND, find_background  # PyTorch

    found = find_background(model)
    if found is None:
        raise InputError(
            f"--score-norm needs --background: model {model} comes without one ({BACKGROUND} in its folder); "
            "give embeddings of pictures of which nothing is a copy"
        )
    return read_embeddings(found)


def scoring_of(
    queries: Embeddings, norm: ScoreNorm, background: Embeddings, num_threads: int | None
) -> Scoring:
    """Bias and scale. InputError if the two sets were not made by the same model."""
    if background.num_dims != queries.num_dims:
        raise InputError(
            f"--background {background.name} has {background.num_dims} columns but {queries.name} has "
            f"{queries.num_dims}; embed both with the same model"
        )
    if background.fingerprint and queries.fingerprint and background.fingerprint != queries.fingerprint:
        raise InputError(
            f"--background {background.name} was embedded by model {background.fingerprint[:12]} but "
            f"{queries.name} by {queries.fingerprint[:12]}; embed both with the same --model, --edge and "
            "--resize"
        )
    if norm.last >= len(background):
        raise InputError(
            f"--score-norm {norm} needs {norm.last + 1} rows or more, but --background {background.name} has "
            f"{len(background)}"
        )
    return norm.scoring(queries, Index(background, num_threads=num_threads, grouping="never"))

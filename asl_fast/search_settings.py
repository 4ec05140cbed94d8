"""NAME.search.json beside a NAME.csv of matches: how they were searched for, and which tau judged them."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from asl_fast.errors import InputError
from asl_fast.files import write_json

FORMAT, VERSION = "asl_fast search", 1


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """num_matches: rows of the table.  norms_fingerprint: of the model whose norms they are, "" if unknown.

    scores: what kind of score they have, a soft ratio included.  direction: which verdicts were looked for.
    tau, tau_from: what their ratios were held against, and whose it is.  Others as given.
    """

    num_matches: int
    refs: str
    queries: str
    norms_fingerprint: str
    scores: str
    direction: str
    tau: float
    tau_from: str
    min_score: float | None = None
    k: int | None = None
    best_pairs: int | None = None
    engine: str = ""


def settings_path(matches: str | os.PathLike[str]) -> Path:
    return Path(matches).with_suffix(".search.json")


def write_settings(matches: str | os.PathLike[str], settings: SearchSettings) -> None:
    fields = dataclasses.asdict(settings)
    write_json(settings_path(matches), {"format": FORMAT, "version": VERSION, **fields})


def read_settings(matches: str | os.PathLike[str]) -> SearchSettings | None:
    """None where no such file lies beside the matches. InputError for one that is of something else."""
    path = settings_path(matches)
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.pop("format") != FORMAT or raw.pop("version") != VERSION:
            raise ValueError("another format or version")
        return SearchSettings(**raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is not what asl-fast search writes ({error}); search again, or remove it"
        ) from None

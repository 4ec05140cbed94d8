"""The JSON of CopyNCE: truth {"Q1": ["R1"], "Q2": []}, results [["Q1", [["R1", 0.9], ...]], ...].

Results as {"Q1": [["R1", 0.9], ...]} are read too. A file of one line has no lines to name: what is wrong is
named by its query.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def is_json(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() == ".json"


def read_json_truth(path: str | os.PathLike[str]) -> tuple[list[tuple[str, str]], frozenset[str]]:
    """Pairs, and queries with an empty list, which have no match. ValueError names file and query."""
    content = _read(path)
    if not isinstance(content, dict):
        raise ValueError(f'{path}: a truth in JSON is an object, {{"Q1": ["R1"], "Q2": []}}')
    pairs: list[tuple[str, str]] = []
    for query, references in content.items():
        if not isinstance(references, list) or not all(isinstance(name, str) for name in references):
            raise ValueError(f"{path}: query {query!r} must have a list of reference ids, got {references!r}")
        if len(set(references)) != len(references):
            raise ValueError(f"{path}: query {query!r} names a reference twice")
        pairs += [(query, reference) for reference in references]
    return pairs, frozenset(query for query, references in content.items() if not references)


def read_json_columns(
    path: str | os.PathLike[str],
) -> tuple[list[str], list[str], np.ndarray, np.ndarray, np.ndarray]:
    """query_ids, reference_ids, query_P, reference_P, score_P. ValueError names file and query."""
    query_at: dict[str, int] = {}
    reference_at: dict[str, int] = {}
    query_P, reference_P, score_P = array("q"), array("q"), array("d")
    for query, found in _queries(path):
        if query in query_at:
            raise ValueError(f"{path}: query {query!r} stands twice; keep one list a query")
        query_at[query] = len(query_at)
        before = len(reference_P)
        for pair in found:
            if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
                raise ValueError(
                    f"{path}: query {query!r} must have pairs [reference id, score], got {pair!r}"
                )
            if isinstance(pair[1], bool) or not isinstance(pair[1], int | float) or not np.isfinite(pair[1]):
                raise ValueError(
                    f"{path}: query {query!r}, reference {pair[0]!r}: score must be a finite number, "
                    f"got {pair[1]!r}"
                )
            query_P.append(len(query_at) - 1)
            reference_P.append(reference_at.setdefault(pair[0], len(reference_at)))
            score_P.append(float(pair[1]))
        if len(set(reference_P[before:])) < len(reference_P) - before:
            raise ValueError(f"{path}: query {query!r} names a reference twice; keep one prediction a pair")
    columns = (np.array(column) for column in (query_P, reference_P, score_P))
    return list(query_at), list(reference_at), *columns  # type: ignore[return-value]


def _queries(path: str | os.PathLike[str]) -> Iterator[tuple[str, list[Any]]]:
    content = _read(path)
    entries = [[*entry] for entry in content.items()] if isinstance(content, dict) else content
    for place, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        fits = isinstance(entry, list) and len(entry) == 2
        if not (fits and isinstance(entry[0], str) and isinstance(entry[1], list)):
            raise ValueError(
                f'{path}: entry {place} is no ["Q1", [["R1", 0.9], ...]]; results in JSON are a list of such'
            )
        yield entry[0], entry[1]


def _read(path: str | os.PathLike[str]) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{path}: {twice!r} stands twice")
        return made

    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} line {error.lineno}: is not JSON ({error.msg})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except RecursionError:
        raise ValueError(f"{path}: is nested too deeply for a truth or results") from None

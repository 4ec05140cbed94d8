"""Norms of the pictures that candidates name: of files of embeddings, or embedded, each picture once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asl_fast.chosen import NormsOf
from asl_fast.embeddings import holds_embeddings, read_embeddings
from asl_fast.errors import InputError
from asl_fast.records import Embeddings
from asl_fast.reports import Predictions
from asl_fast.search_settings import SearchSettings
from asl_fast.thresholds import Thresholds


class CandidateNorms:
    """Norms of both sides, or the ratios that the candidates carry where no sides are named.

    ratio_P: of every candidate.  norms: of the distinct queries and references; None without sides.  sides:
    whose norms they are.  loaded: thresholds of a model that embedded pictures.
    InputError for pictures without a norm, or norms of two models.
    """

    def __init__(
        self,
        candidates: Predictions,
        settings: SearchSettings | None,
        *,
        refs: str | None,
        queries: str | None,
        model: str = "default",
        ids: str = "stem",
        device: str = "cpu",
        num_threads: int | None = None,
    ) -> None:
        self.loaded: Thresholds | None = None
        self.norms: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._model, self._ids, self._device, self._num_threads = model, ids, device, num_threads
        if refs is None or queries is None:
            if candidates.ratio_P is None:
                raise InputError(
                    f"--candidates {candidates.name} carry no ratios; name --refs and --queries, whose norms "
                    "give them"
                )
            self.ratio_P = candidates.ratio_P
            whose = "" if settings is None else settings.norms_fingerprint
            self.sides = (NormsOf(candidates.name, whose), NormsOf(candidates.name, whose))
            return
        query_norm_Q, query_side = self._of("queries", queries, candidates.query_ids)
        ref_norm_N, ref_side = self._of("refs", refs, candidates.reference_ids)
        models = {side.norms_fingerprint for side in (query_side, ref_side)} - {""}
        if len(models) > 1:
            raise InputError(
                f"--queries {queries} has norms of model {query_side.norms_fingerprint[:12]} but --refs "
                f"{refs} of {ref_side.norms_fingerprint[:12]}; embed both with the same model"
            )
        self.sides = (query_side, ref_side)
        self.norms = (query_norm_Q, ref_norm_N)
        self.ratio_P = query_norm_Q[candidates.query_P] / ref_norm_N[candidates.reference_P]

    def judged(self, candidates: Predictions) -> Predictions:
        """The candidates with these ratios."""
        return Predictions(**{**vars(candidates), "ratio_P": self.ratio_P, "is_copy_P": None})

    def _of(self, side: str, source: str, wanted: Sequence[str]) -> tuple[NDArray[np.float64], NormsOf]:
        if holds_embeddings(source):
            rows = read_embeddings(source, side=side)
        else:
            rows = self._embedded(side, source, wanted)
        row_of = {identity: row for row, identity in enumerate(rows.ids)}
        missing = [identity for identity in wanted if identity not in row_of]
        if missing:
            raise InputError(
                f"--{side} {source} has no norm of {missing[0]!r}, which --candidates name ({len(missing)} "
                f"of {len(wanted)} ids are missing); embed those pictures too, or drop their candidates"
            )
        norm_W = rows.norm_N[[row_of[identity] for identity in wanted]]
        return norm_W, NormsOf(source, rows.norms_fingerprint)

    def _embedded(self, side: str, source: str, wanted: Sequence[str]) -> Embeddings:
        """Rows of the pictures that the candidates name, and of no others."""
        from asl_fast.embedder import load_model  # PyTorch, only where there are pictures
        from asl_fast.images import find_images

        named = set(wanted)
        files = [
            file for file in find_images(source, ids=self._ids, argument=f"--{side}") if file.id in named
        ]
        if not files:
            raise InputError(
                f"--{side} {source} holds no picture that --candidates name, such as {wanted[0]!r}; --ids "
                "says what names a picture"
            )
        model = load_model(self._model, device=self._device)
        self.loaded = model.thresholds
        rows, failures = model.embed_files(files, num_threads=self._num_threads, progress=True, name=source)
        if failures:
            first = failures[0]
            raise InputError(
                f"--{side} {source}: {len(failures)} pictures that --candidates name can't be read, the "
                f"first {first.id!r} ({first.reason}); mend them, or drop their candidates"
            )
        return rows

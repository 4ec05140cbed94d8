"""The shipped model gives the rows that it gave when it was shipped, however it is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asl_fast import load_model
from asl_fast.embeddings import read_embeddings
from asl_fast.images import find_images
from asl_fast.models import SHIPPED, load_descriptor
from asl_fast.thresholds import folder_thresholds

NORM_DRIFT = 1e-3  # of a norm, and so of a ratio
LEAST_COSINE = 1 - 1e-5
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def model():
    return load_model("default")


@pytest.fixture(scope="module")
def known():
    """32 pictures' rows, written by scripts/ship_model.py."""
    return read_embeddings(Path(__file__).parent / "default_rows.npz")


def drift(row_ND, other_ND):
    """(largest relative difference of two norms, smallest cosine)"""
    norm_N, other_N = (np.linalg.norm(np.asarray(rows, np.float64), axis=1) for rows in (row_ND, other_ND))
    cosine_N = np.einsum("nd,nd->n", np.asarray(row_ND, np.float64), other_ND) / (norm_N * other_N)
    return np.abs(norm_N / other_N - 1).max(), cosine_N.min()


def test_rows_are_the_known_ones(model, known):
    got, failures = model.embed_files(find_images(EXAMPLES / "queries"))
    assert not failures and list(got.ids) == list(known.ids)
    assert known.fingerprint == model.fingerprint
    norm_drift, cosine = drift(got.row_ND, known.row_ND)
    assert norm_drift < NORM_DRIFT and cosine > LEAST_COSINE


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_batches_and_threads_do_not_move_norms(model, known, batch_size, num_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        got, _ = model.embed_files(
            find_images(EXAMPLES / "queries"), batch_size=batch_size, num_threads=num_threads
        )
    finally:
        torch.set_num_threads(before)
    norm_drift, cosine = drift(got.row_ND, known.row_ND)
    assert norm_drift < NORM_DRIFT and cosine > LEAST_COSINE


def test_a_drift_would_be_seen(known):
    assert drift(known.row_ND, known.row_ND * 1.002)[0] > NORM_DRIFT
    assert drift(known.row_ND, np.roll(known.row_ND, 1, axis=0))[1] < LEAST_COSINE


def test_it_is_small_and_its_thresholds_are_its_own():
    folder = SHIPPED["default"]
    assert (folder / "model.safetensors").stat().st_size < 25e6
    thresholds = folder_thresholds(folder)
    assert thresholds is not None
    assert thresholds.fingerprint == load_descriptor("default").fingerprint

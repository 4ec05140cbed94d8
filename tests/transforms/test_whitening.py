"""Whitening: FAISS's and scikit-learn's, from a file as from the fit; every row keeps its norm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.errors import InputError
from asl_fast.indexes import Index
from asl_fast.records import Embeddings
from asl_fast.transforms import Whitening, fit_whitening, read_whitening, transformed, write_whitening
from asl_fast.transforms.directions import unit_blocks


def rows(number: int, seed: int, num_dims: int = 20) -> np.ndarray:
    """Directions that vary more in some dimensions than in others, lengths from 1 to 5."""
    rng = np.random.default_rng(seed)
    row_ND = rng.standard_normal((number, num_dims)) * np.linspace(2, 0.2, num_dims) + 0.3
    lengths_N1 = rng.uniform(1, 5, (number, 1))
    return (row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True) * lengths_N1).astype(np.float32)


def unit(row_ND: np.ndarray) -> np.ndarray:
    return np.concatenate(list(unit_blocks(row_ND, np.linalg.norm(row_ND.astype(np.float64), axis=1))))


def embeddings(row_ND: np.ndarray, **more: object) -> Embeddings:
    return Embeddings(ids=[f"id{row}" for row in range(len(row_ND))], row_ND=row_ND, **more)  # type: ignore[arg-type]


def test_it_is_faiss_pca_matrix_to_signs(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    train_ND, other_ND = rows(2000, 0), rows(50, 1)
    theirs = faiss.PCAMatrix(20, 8, -0.5)
    theirs.train(unit(train_ND).astype(np.float32))
    their_NE = unit(theirs.apply(unit(other_ND).astype(np.float32)))
    ours_NE = fit_whitening(train_ND, 8)(unit(other_ND))
    np.testing.assert_allclose(np.abs(ours_NE), np.abs(their_NE), atol=2e-4)
    np.testing.assert_allclose(ours_NE @ ours_NE.T, their_NE @ their_NE.T, atol=2e-4)


def test_it_is_scikit_learns_whitening_to_signs() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    train_ND, other_ND = rows(500, 0), rows(50, 1)
    theirs = decomposition.PCA(6, whiten=True, svd_solver="full").fit(unit(train_ND))
    their_NE = unit(theirs.transform(unit(other_ND)))
    ours_NE = fit_whitening(train_ND, 6)(unit(other_ND))
    np.testing.assert_allclose(np.abs(ours_NE), np.abs(their_NE), atol=1e-5)


def test_whitened_training_rows_vary_alike_and_in_no_two_directions_together() -> None:
    train_ND = rows(3000, 3)
    whitening = fit_whitening(train_ND, 20)
    mapped_NE = unit(train_ND) @ whitening.matrix_ED.T.astype(np.float64) + whitening.bias_E
    np.testing.assert_allclose(np.cov(mapped_NE, rowvar=False, bias=True), np.eye(20), atol=1e-4)


def test_a_written_file_is_the_fit_to_the_bit_and_faiss_reads_it(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    whitening, other_ND = fit_whitening(rows(400, 0), 7), rows(30, 1)
    write_whitening(tmp_path / "w.vt", whitening)
    back = read_whitening(tmp_path / "w.vt")
    np.testing.assert_array_equal(back(unit(other_ND)), whitening(unit(other_ND)), strict=True)
    theirs = faiss.read_VectorTransform(str(tmp_path / "w.vt"))
    assert isinstance(theirs, faiss.PCAMatrix)
    assert (theirs.d_in, theirs.d_out, theirs.eigen_power, theirs.is_trained) == (20, 7, -0.5, True)
    theirs_NE = unit(theirs.apply(unit(other_ND).astype(np.float32)))
    np.testing.assert_allclose(back(unit(other_ND)), theirs_NE, atol=1e-4)
    faiss.write_VectorTransform(theirs, str(tmp_path / "again.vt"))
    assert (tmp_path / "again.vt").read_bytes() == (tmp_path / "w.vt").read_bytes()


def test_linear_maps_that_faiss_writes_are_read(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    train_ND, other_ND = unit(rows(900, 0)).astype(np.float32), unit(rows(30, 1)).astype(np.float32)
    plain = faiss.LinearTransform(20, 5, False)
    faiss.copy_array_to_vector(rows(5, 2).ravel(), plain.A)
    plain.is_trained = True
    for made in (
        faiss.PCAMatrix(20, 5, -0.5, True),
        faiss.OPQMatrix(20, 4, 8),
        faiss.RandomRotationMatrix(20, 20),
        plain,
    ):
        if not made.is_trained:
            made.train(train_ND)
        faiss.write_VectorTransform(made, str(tmp_path / "w.vt"))
        whitening = read_whitening(tmp_path / "w.vt")
        np.testing.assert_allclose(whitening(unit(other_ND)), unit(made.apply(other_ND)), atol=1e-4)
        write_whitening(tmp_path / "ours.vt", whitening)
        again = faiss.read_VectorTransform(str(tmp_path / "ours.vt"))
        np.testing.assert_allclose(unit(again.apply(other_ND)), unit(made.apply(other_ND)), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_one_line_or_another_map_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("vt") / "w.vt"
    write_whitening(path, fit_whitening(rows(60, 0, 6), 3))
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    for place in data.draw(st.lists(st.integers(0, len(whole)), max_size=3)):
        if place < len(whole):
            whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    said = ""
    try:
        read_whitening(path)
    except InputError as error:
        said = str(error)
    assert not said or (str(path) in said and "\n" not in said)


def test_what_is_no_linear_map_is_named(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    faiss.write_VectorTransform(faiss.NormalizationTransform(6), str(tmp_path / "n.vt"))
    for name, said in (
        ("n.vt", "is no linear map of FAISS .it begins with b'VNrm'"),
        ("none.vt", "is no file"),
    ):
        with pytest.raises(InputError, match=said):
            read_whitening(tmp_path / name)
    untrained = faiss.PCAMatrix(6, 3)
    faiss.write_VectorTransform(untrained, str(tmp_path / "u.vt"))
    with pytest.raises(InputError, match="is not trained or broken"):
        read_whitening(tmp_path / "u.vt")


@pytest.mark.parametrize(
    ("row_ND", "num_dims", "said"),
    [
        (rows(100, 0), 21, "keeps from 1 to 20 dimensions, the rows' own, got 21"),
        (rows(100, 0), 0, "got 0"),
        (rows(5, 0), 8, "5 rows vary in 4 directions only, too few to whiten to 8"),
        (np.ones((9, 4), np.float32), 1, "vary in 0 directions only"),
        (np.zeros((9, 4), np.float32), 1, "is all zeros"),
    ],
)
def test_what_cannot_be_fitted_is_said(row_ND: np.ndarray, num_dims: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit_whitening(row_ND, num_dims)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="takes rows of 20 columns, got 6"):
        transformed(embeddings(rows(9, 0, 6)), [fit_whitening(rows(50, 0), 3)])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from([np.float16, np.float32, np.float64]),
    own_norms=st.booleans(),
)
def test_ratios_and_verdicts_are_those_from_before(seed: int, kind: type, own_norms: bool) -> None:
    refs, queries = rows(60, seed).astype(kind), rows(20, seed + 1).astype(kind)
    more = {} if own_norms else {"norm_N": np.random.default_rng(seed).uniform(1, 9, 60)}
    before, after = embeddings(refs, **more), embeddings(queries)
    whitening = fit_whitening(rows(90, seed + 2), 12)
    new_refs, new_queries = transformed(before, [whitening]), transformed(after, [whitening])
    np.testing.assert_allclose(new_refs.norm_N, before.norm_N, rtol=1e-6)
    found = Index(new_refs).search(new_queries, 60, direction="both")
    ratio_QK = after.norm_N[:, None] / before.norm_N[found.ref_row_QK]
    np.testing.assert_allclose(found.ratio_QK, ratio_QK, rtol=1e-6)
    same = Index(new_refs).search(transformed(before, [whitening]), 1, direction="both")
    np.testing.assert_array_equal(same.ratio_QK, 1.0)
    np.testing.assert_array_equal(same.ref_row_QK[:, 0], np.arange(60))


def test_another_treatment_gives_another_fingerprint() -> None:
    plain = embeddings(rows(90, 0), fingerprint="f00d")
    first, second = fit_whitening(plain.row_ND, 12), fit_whitening(plain.row_ND, 11)
    prints = {
        plain.fingerprint,
        transformed(plain, [first]).fingerprint,
        transformed(plain, [second]).fingerprint,
        transformed(embeddings(plain.row_ND), [first]).fingerprint,
    }
    assert len(prints) == 4
    assert transformed(plain, [first]).fingerprint == transformed(plain, [first]).fingerprint


def test_a_row_of_which_nothing_is_left_is_refused() -> None:
    nothing = Whitening(matrix_ED=np.zeros((2, 4), np.float32), bias_E=np.zeros(2, np.float32), name="nil")
    with pytest.raises(ValueError, match="nil: leaves nothing of a row"):
        transformed(embeddings(rows(3, 0, 4)), [nothing])

"""Real descriptors for the search benchmark: photos, small edits of them, and a million rows made from those.

    python -m benchmarks.search.descriptors --photos DIR [DIR ...] --out FOLDER

1. `RealRows`: every photo as it is, then VIEWS - 1 seeded views of it: a crop that keeps at least 60 % of
   its area, then edits (the common recipe of asl_fast.edits, strength 0.3); embedded by the shipped model.
   Row p * VIEWS + v is view v of photo p. The last view of every photo is held out: queries come from it.
2. `Extended`: as many rows as wanted. The first are the real ones, unchanged; each further one is a random
   real row a plus s * (b - c), where b and c are views of one random photo and s is log-uniform in
   [0.01, 1], scaled to the length |a| * (|b| / |c|)^s. So every row lies about a real one, away from it as
   edits of real photos move rows, its norm changed as they change norms, and every photo has a cloud of
   rows that is dense in the middle: clusters full of near-ties. Queries are held-out views, and where more
   are wanted than there are, made from those in the same way.
3. `leading_dims`: the same rows in fewer dimensions: their products with the D orthonormal directions that
   keep most of the real reference rows' squared length (no mean is subtracted: directions and norms count).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asl_fast.edits import RECIPES, Pixels, nested_crops
from asl_fast.embedder import Embedder, load_model, num_cores
from asl_fast.files import replacing
from asl_fast.images import find_images
from asl_fast.training.photos import Photos, read_photos
from benchmarks.search.data import save

VIEWS = 5  # of a photo; the last one is for queries
LEAST_AREA = 0.6
RECIPE = "common"
STRENGTH = 0.3
SHORT_EDGE_PX = 256
LEAST_STEP = 0.01
_CHUNK = 8192  # rows made at a time
SEED = 0
Rows = NDArray[np.float32]


def view(photos: Photos, photo: int, number: int) -> Pixels:
    """View `number` of a photo, from (SEED, photo, number) alone."""
    pixels = photos[photo]
    if number == 0:
        return pixels
    rng = np.random.default_rng([SEED, photo, number])
    (crop,) = nested_crops(rng, 1, least_area=LEAST_AREA, whole_share=0.25)
    size = (pixels.shape[1], pixels.shape[0])
    return RECIPES[RECIPE].sample(rng, STRENGTH, crop=crop, size=size).apply(pixels, photos)


def embed_views(photos: Photos, model: Embedder, *, progress: bool) -> Rows:
    """Raw rows of all views, photo by photo."""
    wanted = [(photo, number) for photo in range(len(photos)) for number in range(VIEWS)]
    parts = []
    with tqdm(total=len(wanted), desc="views", unit="view", disable=not progress) as bar:
        for start in range(0, len(wanted), 256):
            some = wanted[start : start + 256]
            parts.append(model.embed([view(photos, *which) for which in some]))
            bar.update(len(some))
    return np.concatenate(parts)


def split(row_VD: Rows) -> tuple[Rows, Rows]:
    """view_PVD of the references (all views but the last), and the held-out rows in a random order."""
    row_PVD = row_VD.reshape(-1, VIEWS, row_VD.shape[1])
    order_P = np.random.default_rng([SEED, len(row_PVD)]).permutation(len(row_PVD))
    return row_PVD[:, :-1].copy(), row_PVD[order_P, -1]


def leading_dims(ref_ND: Rows, num_dims: int) -> NDArray[np.float64]:
    """(D, num_dims): the orthonormal directions that keep most of the rows' squared length."""
    wide_ND = ref_ND.astype(np.float64)
    _, vector_DD = np.linalg.eigh(wide_ND.T @ wide_ND)
    return vector_DD[:, ::-1][:, :num_dims]


class Extended:
    """`number` rows made of `base_ND` and of how views of photos differ (see above), in chunks.

    The same on every run for one seed; at least two views of each photo are needed.
    """

    def __init__(self, base_ND: Rows, view_PVD: Rows, number: int, seed: int) -> None:
        self._base_ND, self._view_PVD, self._number, self._seed = base_ND, view_PVD, number, seed

    def __iter__(self) -> Iterator[Rows]:
        num_photos, num_views, _ = self._view_PVD.shape
        real_ND = self._base_ND[: self._number]
        yield real_ND
        rng = np.random.default_rng([SEED, self._seed])
        for start in range(len(real_ND), self._number, _CHUNK):
            size = min(_CHUNK, self._number - start)
            base_BD = self._base_ND[rng.integers(len(self._base_ND), size=size)]
            photo_B = rng.integers(num_photos, size=size)
            to_B = rng.integers(num_views, size=size)
            from_B = (to_B + rng.integers(1, num_views, size)) % num_views
            step_B1 = np.exp(rng.uniform(np.log(LEAST_STEP), 0, (size, 1))).astype(np.float32)
            to_BD, from_BD = self._view_PVD[photo_B, to_B], self._view_PVD[photo_B, from_B]
            moved_BD = base_BD + step_B1 * (to_BD - from_BD)
            length_B1 = _norms(base_BD) * (_norms(to_BD) / _norms(from_BD)) ** step_B1
            yield moved_BD * (length_B1 / _norms(moved_BD))


def _norms(row_ND: Rows) -> Rows:
    norm_N1: Rows = np.linalg.norm(row_ND, axis=1, keepdims=True)
    return norm_N1


class RealRows:
    """Rows of all views of the photos in some folders, embedded once and kept in `cache`.

    key: a name for exactly these rows.  told: what they are, in a line.
    """

    def __init__(self, folders: Sequence[Path], cache: Path, *, progress: bool = True) -> None:
        files = [file for folder in folders for file in find_images(folder, ids="path", argument="--photos")]
        model = load_model("default")
        made_of = {
            "files": [(file.id, Path(file.path).stat().st_size) for file in files],
            "model": model.fingerprint,
            "views": [VIEWS, LEAST_AREA, RECIPE, STRENGTH, SHORT_EDGE_PX, SEED],
        }
        self.key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
        self.path = cache / f"photos-{self.key}-views.npy"
        if not self.path.exists():
            photos, failures = read_photos(files, SHORT_EDGE_PX, num_threads=num_cores(), progress=progress)
            for failure in failures:
                tqdm.write(f"descriptors: {failure.path}: {failure.reason}; left out")
            row_VD = embed_views(photos, model, progress=progress)
            with replacing(self.path) as temporary, open(temporary, "wb") as stream:
                np.save(stream, row_VD)
        num_rows, self.num_dims = np.load(self.path, mmap_mode="r").shape
        self.told = f"{num_rows // VIEWS:,} photos x {VIEWS} views"

    def extended(self, side: str, number: int, num_dims: int) -> Extended:
        """`number` rows for one side, "refs" or "queries", in so many leading dimensions."""
        ref_PVD, query_QD = split(np.load(self.path))
        if num_dims != self.num_dims:
            turn_DD = leading_dims(ref_PVD.reshape(-1, self.num_dims), num_dims).astype(np.float32)
            ref_PVD, query_QD = ref_PVD @ turn_DD, query_QD @ turn_DD
        base_ND = ref_PVD.reshape(-1, num_dims) if side == "refs" else query_QD
        return Extended(base_ND, ref_PVD, number, seed=len(side))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", nargs="+", type=Path, required=True, help="folders of photos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the arrays")
    parser.add_argument("--refs", type=int, default=1_000_000, help="references to extend to")
    parser.add_argument("--queries", type=int, default=1000, help="queries to extend to")
    parser.add_argument("--dims", type=int, help="leading dimensions to keep; all if not given")
    given = parser.parse_args()
    rows = RealRows(given.photos, given.out)
    num_dims = given.dims or rows.num_dims
    for side, number in (("refs", given.refs), ("queries", given.queries)):
        path = given.out / f"{side}-{number}x{num_dims}.npy"
        save(path, rows.extended(side, number, num_dims), number, num_dims)
        print(f"{path}: {number:,} x {num_dims} float32 rows from {rows.told}")


if __name__ == "__main__":
    main()

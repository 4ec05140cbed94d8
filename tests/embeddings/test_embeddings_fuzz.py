"""Files of every format, damaged and made to lie: read or refused in one line, in little memory and time."""

from __future__ import annotations

import contextlib
import io
import itertools
import multiprocessing
import random
import resource
import struct
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl_fast.embeddings import read_embeddings, write_embeddings, write_pair
from asl_fast.errors import InputError
from asl_fast.records import Embeddings

ROOM_BYTES = 1 << 30  # what a reader of these small files may allocate at most
HANG_SECONDS = 20  # on a busy machine
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["asl_fast.embeddings", "pyarrow.parquet", "h5py"])


def small(num_rows: int = 6, num_dims: int = 3, **more: object) -> Embeddings:
    row_ND = np.random.default_rng(num_dims).standard_normal((num_rows, num_dims)).astype(np.float32)
    return Embeddings(ids=[f"id {row}" for row in range(num_rows)], row_ND=row_ND, **more)  # type: ignore[arg-type]


def valid_files(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of sound files, of ours and of others' making."""
    full = {"path_N": [f"p/{row}.jpg" for row in range(6)], "norm_N": np.arange(1.0, 7), "fingerprint": "ab"}
    row_ND = small().row_ND
    for suffix in ("npz", "h5", "parquet"):
        write_embeddings(folder / f"plain.{suffix}", small())
        write_embeddings(folder / f"full.{suffix}", small(**full))
    write_embeddings(folder / "plain.npy", small())
    np.save(folder / "double.npy", row_ND.astype(np.float64))
    np.savez_compressed(folder / "foreign.npz", vectors=row_ND.astype(np.float16), names=np.arange(6))
    write_pair(folder / "pair.h5", queries=small(), refs=small(num_rows=9))
    with h5py.File(folder / "foreign.h5", "w") as file:
        file.create_dataset("vectors", data=row_ND, compression="gzip", chunks=(2, 3))
        file.create_dataset("image_names", data=[f"n{row}".encode() for row in range(6)])
    lists = pa.array([list(map(float, row_D)) for row_D in row_ND], pa.list_(pa.float32()))
    pq.write_table(pa.table({"image_id": range(6), "vector": lists}), folder / "foreign.parquet")
    files = [path for path in folder.iterdir() if path.suffix in (".npy", ".npz", ".h5", ".parquet")]
    return {path.name: path.read_bytes() for path in files}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, overwritten by telling numbers, zeroed, cut out, doubled; the end cut off."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(changed))
        what = chance.randrange(6)
        if what == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            changed[at] = chance.randrange(256)
        elif what == 2:
            number = chance.choice([0, -1, 1, 1 << 15, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1])
            kind, mask = chance.choice([("<H", 0xFFFF), ("<I", 0xFFFFFFFF), ("<Q", (1 << 64) - 1)])
            changed[at : at + struct.calcsize(kind)] = struct.pack(kind, number & mask)
        elif what == 3:
            length = chance.randrange(1, 64)
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        elif what == 4:
            length = chance.randrange(1, 64)
            changed[at:at] = changed[at : at + length] if chance.random() < 0.5 else b""
        elif len(changed) > 1:
            del changed[at : at + chance.choice([1, 8, len(changed)])]
            changed = changed or bytearray(b"\0")
    return bytes(changed)


SHAPES = ["(6, 3)", "(6, 4)", "(3, 6)", "(0, 3)", "(6, 0)", "(18,)", "()", "(-6, -3)", "(6, -1)", "(6, 3, 1)"]
SHAPES += ["(4611686018427387904, 4)", "(1099511627776, 3)", "(9223372036854775807, 9223372036854775807)"]
SHAPES += ["(100000000000000000000, 3)", "(0, 9223372036854775807)", "(6.0, 3)", "None", "(True, 18)"]
TYPES = [
    "<f4",
    "<f2",
    "<f8",
    ">f4",
    "<i4",
    "|O",
    "<U5",
    "<f16",
    "<c8",
    "|V0",
    "<U0",
    "|S0",
    "<M8[s]",
    "f4,f4",
]


def lying_npy(chance: random.Random) -> bytes:
    """A sound header, with a sound length, that tells what is not so."""
    shape, kind, order = chance.choice(SHAPES), chance.choice(TYPES), chance.choice(["False", "True", "0"])
    header = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    version = chance.choice([(1, 0), (2, 0), (3, 0), (9, 9)])
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + small().row_ND.tobytes()


def lying_npz(chance: random.Random) -> bytes:
    """A sound archive of arrays that are not."""
    stream = io.BytesIO()
    method = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in ("rows", "ids", "norms", "paths", "meta"):
            if name != "rows" and chance.random() < 0.6:
                continue
            archive.writestr(f"{name}.npy", lying_npy(chance))
    return stream.getvalue()


def lying_hdf5(chance: random.Random, path: Path) -> bytes:
    """A sound file of datasets of odd types and shapes, some of them huge and never written."""
    shapes = [(6, 3), (6,), (), (0, 3), (6, 0), (1 << 40, 4), (6, 1 << 40), (1 << 31, 1 << 31), (6, 3, 1)]
    types = ["<f4", "<f8", "<f2", "<i8", h5py.string_dtype(), "S4", h5py.vlen_dtype(np.float32), "c8", bool]
    with h5py.File(path, "w") as file:
        for name in ("vectors", "image_names", "norms", "paths"):
            if chance.random() < 0.4 and name != "vectors":
                continue
            if chance.random() < 0.1:
                file.create_group(name)
                continue
            shape, kind = chance.choice(shapes), chance.choice(types)
            chunks = (1,) * len(shape) if shape and chance.random() < 0.5 and 0 not in shape else None
            with contextlib.suppress(ValueError):  # larger than HDF5 can name
                file.create_dataset(name, shape, kind, chunks=chunks)
        if chance.random() < 0.5:
            values = ["{}", "[" * 100_000, 7, np.arange(3), b"\xff", h5py.Empty("f4")]
            file.attrs["meta"] = chance.choice(values[:1] + values[2:])
    return path.read_bytes()


def lying_parquet(chance: random.Random, path: Path) -> bytes:
    """A sound table of columns of odd types."""
    columns = {
        "embedding": [
            pa.array([[1.0, 2.0]] * 6, pa.list_(pa.float32())),
            pa.array([[1.0, 2.0]] * 5 + [[1.0]], pa.list_(pa.float64())),
            pa.array([[]] * 6, pa.list_(pa.float32())),
            pa.array([None] * 6, pa.list_(pa.float32())),
            pa.array([[1.0, None]] * 6, pa.list_(pa.float32())),
            pa.array([["a"]] * 6),
            pa.array(range(6)),
            pa.array([[[1.0]]] * 6),
            pa.array([{"a": 1.0}] * 6),
            pa.array([[1.0, 2.0]] * 6, pa.list_(pa.float16(), 2)),
        ],
        "id": [pa.array(["a"] * 6), pa.array([None] * 6), pa.array([[1]] * 6), pa.array([b"\xff"] * 6)],
        "norm": [pa.array(range(6)), pa.array(["x"] * 6), pa.array([0.0] * 6), pa.array([float("nan")] * 6)],
        "path": [pa.array(range(6)), pa.array(['"'] * 6), pa.array([b"\xff"] * 6)],
    }
    chosen = {name: chance.choice(kinds) for name, kinds in columns.items() if chance.random() < 0.7}
    table = pa.table(chosen or {"other": range(6)})
    if chance.random() < 0.3:
        table = table.replace_schema_metadata({b"asl_fast": chance.choice([b"{}", b"\xff", b"[" * 10_000])})
    pq.write_table(table, path)
    return path.read_bytes()


def made(seed: int, valid: dict[str, bytes], scratch: Path) -> tuple[str, bytes]:
    """The file of a seed: its name and what is in it."""
    chance = random.Random(seed)
    lies: list[tuple[str, Callable[[], bytes]]] = [
        (".npy", lambda: lying_npy(chance)),
        (".npz", lambda: lying_npz(chance)),
        (".h5", lambda: lying_hdf5(chance, scratch)),
        (".parquet", lambda: lying_parquet(chance, scratch)),
    ]
    if chance.random() < 0.3:
        suffix, lie = lies[seed % 4]
        return suffix, lie()
    name = sorted(valid)[seed % len(valid)]
    return Path(name).suffix, damaged(valid[name], chance)


def read_one(path: Path, side: str | None) -> None:
    """Sound embeddings, or one line."""
    try:
        found = read_embeddings(path, side=side)
    except InputError as error:
        if "\n" in str(error):
            raise
        return
    assert np.isfinite(found.row_ND).all() and np.isfinite(found.norm_N).all() and (found.norm_N > 0).all()
    assert found.row_ND.any(axis=1).all()
    assert len(found.ids) == len(set(found.ids)) == len(found.row_ND)


def read_many(folder: Path, first: int, connection: Connection) -> None:
    """Read the files of seeds first, first + 1, ... in little memory, until killed; tell each seed before."""
    warnings.simplefilter("error")
    (folder / "valid").mkdir(exist_ok=True)
    valid = valid_files(folder / "valid")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, used + ROOM_BYTES))
    for seed in itertools.count(first):
        connection.send((seed, None))
        suffix, data = made(seed, valid, folder / "scratch")
        path = folder / f"seed-{seed}{suffix}"
        path.write_bytes(data)  # and left there for whoever looks into a problem
        try:
            read_one(path, [None, "queries", "refs"][seed % 3])
        except BaseException as error:
            connection.send((seed, f"{type(error).__name__}: {error}"))
            return
        path.unlink()


def told(folder: Path, first: int, until: float) -> Iterator[tuple[int, str | None]]:
    """(seed, problem) of every file that a child of its own reads until then."""
    connection, other = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=read_many, args=(folder, first, other))
    child.start()
    other.close()
    seed = first
    try:
        while time.monotonic() < until:
            if not connection.poll(HANG_SECONDS):
                yield seed, f"no end within {HANG_SECONDS} s"
                return
            seed, problem = connection.recv()
            yield seed, problem
            if problem is not None:
                return
    except EOFError:
        child.join()
        yield seed, f"the reader's process died with status {child.exitcode}"
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("seed", [62245])  # a type that says neither text nor list
def test_a_file_that_once_crashed_hdf5_is_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    problems = [problem for _, problem in itertools.islice(told(tmp_path, seed, time.monotonic() + 60), 2)]
    assert problems == [None, None]  # of the seed when it begins, and of the next one


# Of a text's reference: 4 bytes of length, 8 of its heap's place in the file, 4 of its piece's number.
@pytest.mark.parametrize(
    ("length", "heap", "piece"),
    [
        (3, "its own", 1),
        ((1 << 32) - 1, "its own", 1),
        (2, "its own", 7),
        (2, "its own", 65535),
        (2, "none", 1),
        (1 << 20, "beyond", 1),
        (2, "elsewhere", 1),
        (2, "undefined", 0),
    ],
)
def test_a_text_that_points_to_nowhere_is_refused_in_one_line(
    tmp_path: Path, length: int, heap: str, piece: int
) -> None:
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["vectors"] = small().row_ND
        file["image_names"] = [f"n{row}" for row in range(6)]
        first = file["image_names"].id.get_offset()
    data = bytearray((tmp_path / "r.h5").read_bytes())
    places = {"its own": data.find(b"GCOL"), "none": 0, "beyond": 1 << 40, "elsewhere": 96}
    place = places.get(heap, (1 << 64) - 1)
    data[first : first + 16] = struct.pack("<IQI", length, place, piece)
    (tmp_path / "r.h5").write_bytes(data)
    read_one(tmp_path / "r.h5", None)


@pytest.mark.parametrize("seconds", [5, pytest.param(120, marks=pytest.mark.slow)])
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(tmp_path: Path, seconds: int) -> None:
    problems, first = [], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(problems) < 20:
        for seed, problem in told(tmp_path, first, until):
            first = seed + 1
            if problem is not None:
                problems.append(f"seed {seed}: {problem}")
    assert not problems, "\n".join(problems)
    assert first > 5 * seconds

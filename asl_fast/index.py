"""Keep references in a folder that can be added to, and searched, without ever being built anew.

The folder holds rows sorted by norm and a small catalogue. A search sees one state of it while another
process adds; a killed command leaves the state before it or the one after it. Sources are files of embeddings
(.npy, .npz, .h5, .parquet), .faiss files, or pictures (a folder, a list, shards), which are embedded first.

example:
  asl-fast index build refs.index refs.npy
  asl-fast index add refs.index new_pictures/
  asl-fast search --refs refs.index --queries queries/ --out matches.csv

exit status: 0 done, 2 an argument must be mended, or verify found damage, 3 done in part: some pictures
failed, or repair could not save every row.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asl_fast.embeddings import check_out, holds_embeddings, read_embeddings, write_embeddings
from asl_fast.errors import DONE, PARTIAL, USER_ERROR, InputError, run_command
from asl_fast.indexes import FaissIndex
from asl_fast.indexes.faiss_index import files as faiss_files
from asl_fast.indexes.folder import SHARD_ROWS, IndexFolder, Snapshot, repair, verify
from asl_fast.records import Embeddings

ACTIONS = {
    "build": "make an index of files of embeddings or pictures",
    "add": "add more of them",
    "remove": "remove rows by id",
    "compact": "merge small shards, and free the space of removed rows",
    "verify": "read every byte and compare it with its checksum",
    "repair": "keep what is sound, and list what is lost",
    "info": "rows, shards, norms, model",
    "export": "write the rows as .npy, .npz, .h5, .hdf5 or .parquet, in the order in which they were added, "
    "or with --faiss as a FAISS index",
}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asl-fast index", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    of = {name: actions.add_parser(name, help=what, description=what) for name, what in ACTIONS.items()}
    for name, each in of.items():
        each.add_argument("folder", help="the index")
        if name in ("build", "add"):
            _add_sources(each)
        if name in ("build", "add", "remove", "compact", "repair"):
            each.add_argument(
                "--wait", type=float, default=0.0, metavar="SECONDS", help="wait for another writer to end"
            )
        if name in ("build", "add", "compact"):
            each.add_argument(
                "--shard-rows", type=int, default=SHARD_ROWS, metavar="N",
                help="most rows of a shard; memory grows with it (default: %(default)s)",
            )  # fmt: skip
        if name in ("build", "add", "verify", "repair"):
            each.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: every core)")
    of["add"].add_argument(
        "--replace", action="store_true", help="rows take the place of those of the same id"
    )
    of["remove"].add_argument("ids", nargs="*", metavar="ID", help="ids to remove")
    of["remove"].add_argument("--ids-file", metavar="FILE", help="more ids, one a line")
    of["remove"].add_argument("--missing-ok", action="store_true", help="pass over ids that aren't there")
    of["repair"].add_argument("--lost", metavar="CSV", help="list of lost rows (default: FOLDER/lost.csv)")
    of["info"].add_argument("--json", action="store_true", help="print JSON")
    of["export"].add_argument("--out", required=True, help="file of embeddings, or .faiss, to write")
    of["export"].add_argument(
        "--faiss", metavar="FACTORY", help="make a FAISS index of unit rows, such as Flat or IVF4096,Flat"
    )
    of["export"].add_argument("--threads", type=int, metavar="N", help="CPU threads (default: every core)")
    return parser


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="file of embeddings, .faiss file, or pictures"
    )
    parser.add_argument("--faiss-ids", metavar="FILE", help="ids of a .faiss file's rows, one a line")
    parser.add_argument(
        "--lossy", action="store_true", help="take the rows of a .faiss file of codes (PQ, SQ)"
    )
    parser.add_argument("--model", help="descriptor for pictures (default: the index's own, or `default`)")
    parser.add_argument("--ids", choices=("stem", "path"), default="stem", help="what names a picture")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="for pictures")
    parser.add_argument(
        "--failures", help="list of pictures that failed (default: failures.csv beside the index)"
    )


def run(args: argparse.Namespace) -> int:
    for flag, number in (
        ("--threads", getattr(args, "threads", None)),
        ("--wait", getattr(args, "wait", None)),
    ):
        if number is not None and number < (flag == "--threads"):
            raise InputError(f"{flag} must be at least {int(flag == '--threads')}, got {number}")
    return int(globals()[f"_{args.action}"](args))


class _Sources:
    """The rows of the sources, one after the other; pictures are embedded when their turn comes."""

    def __init__(self, args: argparse.Namespace, model: str) -> None:
        self.args, self.model = args, args.model or model or "default"
        self.used_model = ""
        self.num_failed = 0

    def __iter__(self) -> Iterator[Embeddings]:
        for source in self.args.sources:
            if Path(source).suffix == faiss_files.SUFFIX:
                yield from faiss_files.rows_back(source, ids_path=self.args.faiss_ids, lossy=self.args.lossy)
                continue
            yield read_embeddings(source, side="refs") if holds_embeddings(source) else self._embedded(source)

    def _embedded(self, source: str) -> Embeddings:
        from asl_fast.embedder import embed_source, load_model  # PyTorch, only where there are pictures

        done = embed_source(
            source,
            load_model(self.model, device=self.args.device),
            ids=self.args.ids,
            num_threads=self.args.threads,
            failures_path=self.args.failures or Path(self.args.folder).parent / "failures.csv",
            argument="SOURCE",
        )
        self.used_model = self.model
        self.num_failed += len(done.failures)
        return done.embeddings


def _build(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    index = IndexFolder(args.folder, wait_seconds=args.wait, shard_rows=args.shard_rows)
    index.check_free()
    sources = _Sources(args, "")
    rows = iter(sources)
    first = next(rows)
    index.create(num_dims=first.num_dims, fingerprint=first.fingerprint, model=sources.used_model)
    index.add(chain([first], rows))
    return _say_added("build", args, sources, started)


def _add(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    with Snapshot(args.folder) as snapshot:
        state = snapshot.catalogue
    sources = _Sources(args, state.model)
    index = IndexFolder(args.folder, wait_seconds=args.wait, shard_rows=args.shard_rows)
    done = index.add(sources, replace_ids=args.replace)
    aside = f", {done.num_replaced} of them in the place of older ones" if done.num_replaced else ""
    aside += ", small shards merged" if done.merged else ""
    return _say_added("add", args, sources, started, f"{done.num_rows} rows added{aside}; ")


def _say_added(verb: str, args: argparse.Namespace, sources: _Sources, started: float, what: str = "") -> int:
    with Snapshot(args.folder) as snapshot:
        state = snapshot.catalogue
    failed = f"; {sources.num_failed} pictures failed, see failures.csv" if sources.num_failed else ""
    print(
        f"index {verb}: {what}{args.folder} holds {state.num_rows} x {state.num_dims} in {len(state.shards)} "
        f"shards, {time.perf_counter() - started:.1f} s{failed}"
    )
    return PARTIAL if sources.num_failed else DONE


def _remove(args: argparse.Namespace) -> int:
    ids = list(args.ids)
    if args.ids_file:
        ids += Path(args.ids_file).read_text(encoding="utf-8-sig").splitlines()
    if not ids:
        raise InputError("remove: no ids were given; name some, or --ids-file FILE")
    index = IndexFolder(args.folder, wait_seconds=args.wait)
    num_removed = index.remove(ids, missing_ok=args.missing_ok)
    with Snapshot(args.folder) as snapshot:
        print(
            f"index remove: {num_removed} rows removed; {args.folder} holds {len(snapshot)}, their bytes go "
            "with the next compact"
        )
    return DONE


def _compact(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    done = IndexFolder(args.folder, wait_seconds=args.wait, shard_rows=args.shard_rows).compact()
    what = "nothing to merge or to drop"
    if done is not None:
        what = (
            f"{done.num_shards_before} shards -> {done.num_shards}, {done.num_dropped} removed rows dropped"
        )
    print(f"index compact: {what} in {time.perf_counter() - started:.1f} s")
    return DONE


def _verify(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    with tqdm(unit="B", unit_scale=True, desc="verify", file=sys.stderr, delay=1) as bar:
        done = verify(args.folder, num_threads=args.threads, progress=bar.update)
    seconds = time.perf_counter() - started
    for damage in done.damages:
        print(f"damaged: {damage}")
    for name in done.leftovers:
        print(f"left over by a writer that was killed or is at work: {name}")
    checked = (
        f"{done.num_files} files, {done.num_bytes / 1e6:.1f} MB checked in {seconds:.1f} s "
        f"({done.num_bytes / 1e9 / seconds:.2f} GB/s)"
    )
    if done.damages:
        print(
            f"index verify: {checked}; {len(done.damages)} damaged places, mend with: "
            f"asl-fast index repair {args.folder}"
        )
        return USER_ERROR
    print(f"index verify: {checked}; every byte is as it was written")
    return DONE


def _repair(args: argparse.Namespace) -> int:
    done = repair(args.folder, lost_path=args.lost, wait_seconds=args.wait, num_threads=args.threads)
    for note in done.notes:
        print(note)
    lost = f"{len(done.lost)} rows are lost, see {done.lost_path}" if done.lost else "no row is lost"
    print(f"index repair: {args.folder} holds {done.num_rows} rows; {lost}")
    return PARTIAL if done.lost else DONE


def _info(args: argparse.Namespace) -> int:
    with Snapshot(args.folder) as snapshot:
        state = snapshot.catalogue
    norms = [(entry.min_norm, entry.max_norm) for entry in state.shards] or [(0.0, 0.0)]
    facts: dict[str, Any] = {
        "rows": state.num_rows,
        "dims": state.num_dims,
        "shards": len(state.shards),
        "tombstones": state.num_tombstones,
        "bytes": sum(entry.num_bytes for entry in state.shards),
        "min_norm": min(low for low, _ in norms),
        "max_norm": max(high for _, high in norms),
        "fingerprint": state.fingerprint,
        "model": state.model,
        "created": state.created,
        "generation": state.generation,
    }
    if args.json:
        entries = [
            {**asdict(entry), "tombstones": len(state.dead.get(entry.number, ()))} for entry in state.shards
        ]
        print(json.dumps({**facts, "each_shard": entries}, indent=2))
        return DONE
    for name, value in facts.items():
        print(f"{name:<12} {value if value != '' else 'not known'}")
    return DONE


def _export(args: argparse.Namespace) -> int:
    if args.faiss:
        return _export_faiss(args)
    check_out(args.out, "--out")
    out = Path(args.out)
    with Snapshot(args.folder) as snapshot, tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        embeddings = snapshot.embeddings(Path(scratch) / "rows.f32")
        write_embeddings(out, embeddings)
        print(f"index export: {len(embeddings)} x {embeddings.num_dims} -> {out}")
    return DONE


def _export_faiss(args: argparse.Namespace) -> int:
    faiss_files.check_out(args.out)
    with Snapshot(args.folder) as snapshot:
        embeddings = snapshot.embeddings()
    index = FaissIndex(embeddings, args.faiss, num_threads=args.threads)
    index.write(args.out)
    print(
        f"index export: {len(index)} x {index.num_dims} -> {args.out} ({index.path}), ids and norms beside it"
    )
    return DONE


def main(argv: list[str] | None = None) -> int:
    return run_command("index", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())

"""The exact search on a GPU beside every peer that is installed, and what the machine could do.

python -m benchmarks.gpu_search [--out DIR] [--device cuda] [--sizes Q,N,D ...] [--shares F ...]

Peers find the same top 10 of unit rows: PyTorch's mm and topk over tiles of references (float32, TF32,
bfloat16), FAISS GpuIndexFlat (float32, float16), cuVS brute force. They know no predicate of pairs: what
fails it is masked before topk in PyTorch, and filtered from an over-long list in FAISS and cuVS, which then
may come up short; how many queries do is told. Bounds: pairs x D multiply-adds at the measured int8 peak.
Right before fast: ours against the CPU's bits, and against float64 on the GPU. One JSON file a device,
written after every row; when the seconds are spent the rest is left out, which is told in the file, too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asl_fast.kernels.ratio_search import PreparedRefs, ask

SIZES = ((50_000, 1_000_000, 256), (50_000, 1_000_000, 512), (50_000, 1_000_000, 2048))
FEW_QUERIES = (1, 32, 1024)
SHARES = (1.0, 0.5, 0.1)
K, OVER_FETCH = 10, 4
TILE_QUERIES, TILE_REFS = 2048, 131_072
CHECKED = 10_000  # queries, against float64
CHECKED_NUMBERS = 300_000_000  # in references, against the CPU

Row = dict[str, Any]
Result = tuple[Tensor, int]  # ids, queries that came up short


@dataclass(frozen=True)
class Case:
    """Unit rows and norms with a share of valid pairs; device rows for the peers."""

    query_QD: Tensor
    ref_ND: Tensor
    norm_Q: Tensor
    norm_N: Tensor
    share: float

    def part(self, num_queries: int) -> Case:
        return Case(
            self.query_QD[:num_queries], self.ref_ND, self.norm_Q[:num_queries], self.norm_N, self.share
        )

    def of_share(self, share: float) -> Case:
        """Norms of references are spread over (1, 2); a share of them is not below a query's, on average."""
        low = 1 + max(0.0, 1 - 2 * share)
        high = 2.0 if share < 1 else 1.0
        norm_Q = low + (high - low) * torch.rand(len(self.query_QD), dtype=torch.float64)
        return Case(self.query_QD, self.ref_ND, norm_Q, self.norm_N, share)


def made(size: tuple[int, int, int], device: str) -> Case:
    num_queries, num_refs, num_dims = size
    random = torch.Generator(device).manual_seed(0)
    query_QD, ref_ND = (
        torch.nn.functional.normalize(torch.randn(n, num_dims, generator=random, device=device))
        for n in (num_queries, num_refs)
    )
    norm_N = 1 + torch.rand(num_refs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Case(query_QD, ref_ND, torch.ones(num_queries, dtype=torch.float64), norm_N, 1.0)


def torch_search(case: Case, dtype: torch.dtype) -> Result:
    """mm and topk over tiles; what fails the predicate is masked."""
    query_QD, ref_ND = case.query_QD.to(dtype), case.ref_ND.to(dtype)
    norm_Q, norm_N = case.norm_Q.to(query_QD.device), case.norm_N.to(query_QD.device)
    ids = []
    for q in range(0, len(query_QD), TILE_QUERIES):
        rows, norms = query_QD[q : q + TILE_QUERIES], norm_Q[q : q + TILE_QUERIES, None]
        best = torch.full((len(rows), 0), 0.0, device=rows.device, dtype=dtype)
        best_id = torch.empty(len(rows), 0, device=rows.device, dtype=torch.int64)
        for r in range(0, len(ref_ND), TILE_REFS):
            score = rows @ ref_ND[r : r + TILE_REFS].T
            if case.share < 1:
                score.masked_fill_(norms / norm_N[None, r : r + TILE_REFS] > 1, -torch.inf)
            top, place = score.topk(min(K, score.shape[1]), sorted=False)
            best, best_id = torch.cat([best, top], 1), torch.cat([best_id, place + r], 1)
        top, place = best.topk(min(K, best.shape[1]))
        ids.append(best_id.gather(1, place).masked_fill_(top == -torch.inf, -1))
    return torch.cat(ids), 0


def filtered(case: Case, place_QF: Tensor) -> Result:
    """The first k of lists that pass the predicate, and how many queries have fewer."""
    norm_Q, norm_N = case.norm_Q.to(place_QF.device), case.norm_N.to(place_QF.device)
    passes = (place_QF >= 0) & (norm_Q[:, None] / norm_N[place_QF.clamp(min=0)] <= 1)
    order = (~passes).int().sort(dim=1, stable=True).indices[:, :K]
    ids = place_QF.gather(1, order).masked_fill_(~passes.gather(1, order), -1)
    return ids, int((passes.sum(1) < K).sum())


def peers(case: Case, device: str) -> Iterator[tuple[str, Callable[[Case], Result]]]:
    """Peers that are here, each made ready for these references."""
    if device == "cuda":
        for name, allowed in (("torch float32", False), ("torch tf32", True)):
            torch.backends.cuda.matmul.allow_tf32 = allowed
            yield name, lambda some: torch_search(some, torch.float32)
        torch.backends.cuda.matmul.allow_tf32 = False
    else:
        yield "torch float32", lambda some: torch_search(some, torch.float32)
    yield "torch bfloat16", lambda some: torch_search(some, torch.bfloat16)
    fetch = min(K if case.share == 1 else K * OVER_FETCH, len(case.ref_ND))
    if device == "cuda" and importlib.util.find_spec("faiss") is not None:
        import faiss
        import faiss.contrib.torch_utils

        if getattr(faiss, "get_num_gpus", lambda: 0)():
            resources = faiss.StandardGpuResources()
            for half in (False, True):
                config = faiss.GpuIndexFlatConfig()
                config.useFloat16 = half
                index = faiss.GpuIndexFlatIP(resources, case.ref_ND.shape[1], config)
                index.add(case.ref_ND)
                name = f"FAISS GPU flat {'float16' if half else 'float32'}"
                yield name, lambda some, index=index: filtered(some, index.search(some.query_QD, fetch)[1])
                del index
    if device == "cuda" and importlib.util.find_spec("cuvs") is not None:
        from cuvs.neighbors import brute_force

        built = brute_force.build(case.ref_ND, metric="inner_product")

        def cuvs_search(some: Case) -> Result:
            _, place = brute_force.search(built, some.query_QD, fetch)
            return filtered(some, torch.as_tensor(place, device=some.query_QD.device).long())

        yield "cuVS brute force", cuvs_search


def timed(run: Callable[[], object], device: str, seconds: float = 2.0) -> float:
    """The median of at most five runs, after one that doesn't count, in ms."""
    times: list[float] = []
    for _ in range(6):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
        if len(times) > 1 and sum(times) > 1e3 * seconds:
            break
    return float(np.median(times[1:]))


def machine(device: str) -> Row:
    """What the device does at best, measured here: copies, and products."""
    row: Row = {"operation": "machine"}
    source = torch.zeros(2**28 if device == "cuda" else 2**22, device=device)
    target = torch.empty_like(source)
    row["copy_gb_per_s"] = 2 * source.nbytes / timed(lambda: target.copy_(source), device) / 1e6
    edge = 8192 if device == "cuda" else 256
    for name, dtype in (("int8", torch.int8), ("bfloat16", torch.bfloat16)):
        a = torch.ones(edge, edge, device=device).to(dtype)
        product = torch._int_mm if name == "int8" else torch.mm
        row[f"{name}_tera_operations_per_s"] = 2 * edge**3 / timed(lambda: product(a, a.T), device) / 1e9  # noqa: B023
    return row


def check(case: Case, refs: PreparedRefs) -> Row:
    """ValueError unless ours has the CPU's bits for some queries; how many ids differ from float64's."""
    row: Row = {"operation": "check", "path": refs.path, "cpu_bits": case.ref_ND.numel() <= CHECKED_NUMBERS}
    if row["cpu_bits"]:
        few = case.part(64)
        question = ask(few.query_QD, norm_Q=few.norm_Q.numpy())
        mine = refs.nearest(question, K)
        exact = PreparedRefs(case.ref_ND.cpu(), norm_N=case.norm_N.numpy()).nearest(question, K)
        for name, column in vars(exact).items():
            if not np.array_equal(vars(mine)[name].view(np.int64), column.view(np.int64)):
                raise ValueError(f"gpu_search: {name} differs from the CPU's exact answer")
    some = case.part(CHECKED)
    found = refs.search(some.query_QD, k=K, norm_Q=some.norm_Q.numpy()).ref_row_QK
    in_double = torch_search(some, torch.float64)[0].cpu().numpy()
    wrong = int((found[:, : in_double.shape[1]] != in_double).sum())
    return row | {"queries": len(found), "ids_unlike_float64": wrong}


def time_ours(case: Case, refs: PreparedRefs, device: str, row: Row) -> Row:
    question = ask(case.query_QD, norm_Q=case.norm_Q.numpy())
    direction = "both" if case.share == 1 else "copy"
    counts: dict[str, int] = {}
    query_QD = case.query_QD.cpu()
    refs.search(query_QD, k=K, norm_Q=case.norm_Q.numpy(), direction=direction, _counts=counts)
    norm_Q = case.norm_Q.numpy()
    ms = timed(lambda: refs.search(query_QD, k=K, norm_Q=norm_Q, direction=direction), device)
    return row | {"ms": ms, "of": "asl_fast", "valid_pairs": counts["screened"],
                  "survivors_a_query": counts["passed"] / max(1, len(question))}  # fmt: skip


def rows(args: argparse.Namespace) -> Iterator[Row]:
    device, start = args.device, time.perf_counter()
    best = machine(device)
    yield best
    for size in args.sizes:
        if time.perf_counter() - start > args.seconds:
            yield {"operation": "prepare", "size_QND": size, "left_out": f"{args.seconds} s were spent"}
            continue
        whole = made(size, device)
        begun = time.perf_counter()
        refs = PreparedRefs(whole.ref_ND.cpu(), norm_N=whole.norm_N.numpy(), device=device)
        yield {
            "operation": "prepare",
            "size_QND": size,
            "path": refs.path,
            "seconds": time.perf_counter() - begun,
        }
        yield check(whole.of_share(0.5), refs)
        cases = [whole.of_share(share) for share in args.shares]
        cases += [whole.of_share(0.5).part(few) for few in FEW_QUERIES if few < size[0]]
        for case in cases:
            head: Row = {
                "operation": "search",
                "size_QND": (len(case.query_QD), *size[1:]),
                "share": case.share,
            }
            if time.perf_counter() - start > args.seconds:
                yield head | {"left_out": f"{args.seconds} s were spent"}
                continue
            ours = time_ours(case, refs, device, head)
            operations = 2 * ours["valid_pairs"] * size[2]
            ours["share_of_int8_peak"] = operations / ours["ms"] / 1e9 / best["int8_tera_operations_per_s"]
            ours["giga_pairs_per_s"] = ours["valid_pairs"] / ours["ms"] / 1e6
            yield ours
            for name, search in peers(case, device):
                short: list[int] = []
                try:
                    ms = timed(lambda: short.append(search(case)[1]), device)  # noqa: B023
                except RuntimeError as error:  # no room, as a rule
                    yield head | {"of": name, "failed": str(error).splitlines()[0]}
                    continue
                yield head | {"of": name, "ms": ms, "queries_short": short[-1]}


def _size(text: str) -> tuple[int, int, int]:
    queries, refs, dims = (int(part) for part in text.split(","))
    return queries, refs, dims


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="OUT/DEVICE/gpu_search.json"
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: to try this script")
    parser.add_argument("--sizes", nargs="*", type=_size, default=SIZES)
    parser.add_argument("--shares", nargs="*", type=float, default=SHARES)
    parser.add_argument("--seconds", type=float, default=120)
    args = parser.parse_args()
    name = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    out = args.out / re.sub(r"\W+", "-", name.lower()) / "gpu_search.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    head = {"device": name, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    done: list[Row] = []
    for row in rows(args):
        print(json.dumps(row), flush=True)
        done.append(row)
        out.write_text(json.dumps({**head, "rows": done}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

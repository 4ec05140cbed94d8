"""Which sizes are measured, and by which engines: a star around one million rows of 256 dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace

MATRIX = ("ours", "flat", "buckets")  # engines for every case
SELECTORS = ("batch", "bitmap", "range")
OTHERS = ("numpy", "numkong", "usearch")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One table row's work. data: "isotropic" or "photos". share: of pairs that pass the predicate."""

    data: str = "isotropic"
    num_refs: int = 1_000_000
    num_dims: int = 256
    num_queries: int = 1000
    share: float = 0.5
    num_threads: int = 2
    k: int = 10
    engines: tuple[str, ...] = MATRIX

    @property
    def name(self) -> str:
        return (
            f"{self.data} {self.num_refs}x{self.num_dims} Q={self.num_queries} share={self.share} "
            f"threads={self.num_threads}"
        )


def star(
    centre: Case, *, instructions: tuple[str, ...], photo_dims: int, sizes: tuple[int, ...], long: bool
) -> list[Case]:
    """Cases around `centre`. instructions: sets to force beside the chosen one. photo_dims: the model's own.

    sizes: numbers of references below the centre's. long: with 2048 dimensions and 10,000 queries.
    """
    forced = tuple(f"ours:{name}" for name in instructions)
    at = centre.num_refs
    cases = [
        replace(centre, engines=(*MATRIX, "screen", "mapped", *forced, "flat:avx2", *OTHERS)),
        replace(centre, share=1.0, engines=(*MATRIX, "screen", *forced, "flat:avx2")),
        replace(centre, share=0.1),
        replace(centre, data="photos", engines=(*MATRIX, "mapped")),
        replace(centre, data="photos", share=1.0),
        replace(centre, data="photos", num_dims=photo_dims, num_refs=min(at, 300_000)),
        replace(centre, num_threads=1, engines=(*MATRIX, "screen")),
        *(replace(centre, num_refs=size) for size in sizes),
        replace(centre, num_dims=128),
        replace(centre, num_dims=512),
        replace(centre, num_queries=1, engines=(*MATRIX, *SELECTORS, *OTHERS)),
        replace(centre, num_queries=8, engines=(*MATRIX, *SELECTORS)),
        replace(centre, num_queries=100),
    ]
    if long:
        cases.append(replace(centre, num_dims=2048, num_refs=min(at, 200_000)))
        cases.append(replace(centre, num_queries=10_000))
    return cases

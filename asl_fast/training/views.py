"""The batch of a step: P photos x K nested, edited views. It depends on (seed, step) and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_fast.edits import RECIPES, Chain, Crop, Fit, Trace, nested_crops
from asl_fast.images import Failure, Resize
from asl_fast.losses import content_pairs, even_pairs, over_pairs, plain_pairs
from asl_fast.training.photo_set import PhotoSet
from asl_fast.training.pool import kept_apart
from asl_fast.training.settings import TrainSettings
from asl_fast.views import MadeViews, ViewExecutor, ViewOrder, shard_of, stream

_ORDER, _VIEWS, _PAIR_ORDER, _DIRECTION = 2, 3, 5, 6  # what a generator is for: distinct streams of one seed
_FIT_OF_MODE = {"square": "square", "short-center": "middle"}
_WHOLE = Crop(left=0.0, top=0.0, width=1.0, height=1.0)


class Plan(NamedTuple):
    """What is ordered for a batch. Views of one nest are nested crops of one photo, the largest first.

    area_B: share of the photo inside the crop.  over_H2: nests of pairs of which the first photo is no copy
    of the second.  even_H2: nests of pairs where neither is.
    """

    orders: list[ViewOrder]
    nest_B: NDArray[np.int64]
    area_B: NDArray[np.float64]
    over_H2: NDArray[np.int64]
    even_H2: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewBatch:
    """pixels_BCHW: uint8.  label_B: class in the metric.  nest_B, area_B: as in `Plan`.

    trace_B: where the pixels of each view came from.  over_P2: views (i, j) of which i should have the longer
    row.  even_E2: views whose rows should be as long as each other.  failures: photos found broken.
    """

    pixels_BCHW: Tensor
    label_B: Tensor
    nest_B: Tensor
    area_B: Tensor
    trace_B: tuple[Trace, ...]
    over_P2: Tensor
    even_E2: Tensor
    failures: tuple[Failure, ...] = ()

    def to(self, device: torch.device) -> ViewBatch:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = value.to(device)
        return ViewBatch(**values)


class Views:
    """Batches by step. Photos come in a new random order each time all of them had their turn, pairs too.

    rank, world_size: this rank makes its share of the batch; together they make the batch of one alone.
    """

    def __init__(
        self,
        photos: PhotoSet,
        resize: Resize,
        settings: TrainSettings,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._photos = photos
        self._settings = settings
        self._seed = seed
        if resize.mode not in _FIT_OF_MODE:
            raise ValueError(
                f"train: views of one batch must have one size, so resize_mode must be one of "
                f"{', '.join(_FIT_OF_MODE)}, got {resize.mode!r}; start from another model"
            )
        self._fit = Fit(edge_px=resize.edge_px, way=_FIT_OF_MODE[resize.mode])
        self._class_N = photos.classes(settings.pairs)
        num_pairs = settings.pairs.per_batch if photos.pairs else 0
        num_single = settings.num_identities - 2 * num_pairs
        if num_single < 0:
            raise ValueError(
                f"recipe: pairs.per_batch {num_pairs} takes {2 * num_pairs} of the batch's identities, but "
                f"num_identities is {settings.num_identities}"
            )
        self._num_single, self._num_pairs = num_single, num_pairs
        self._single_slots, self._pair_slots = _own_slots(num_single, num_pairs, rank, world_size)

    @property
    def settings(self) -> TrainSettings:
        return self._settings

    @property
    def num_classes(self) -> int:
        return int(self._class_N.max()) + 1

    @property
    def class_N(self) -> NDArray[np.int64]:
        """The class of each photo."""
        return self._class_N

    def plan(self, step: int) -> Plan:
        orders: list[ViewOrder] = []
        areas: list[float] = []
        over: list[tuple[int, int]] = []
        even: list[tuple[int, int]] = []
        for slot in self._single_slots:
            photo = self._drawn(_ORDER, self._photos.num_single, step * self._num_single + slot)
            self._order(photo, self._generator(step, slot), orders, areas)
        nest = len(self._single_slots)
        for slot in self._pair_slots:
            drawn = self._drawn(_PAIR_ORDER, len(self._photos.pairs), step * self._num_pairs + slot)
            pair = self._photos.pairs[drawn]
            for member, photo in enumerate((pair.a, pair.b)):
                rng = self._generator(step, self._num_single + 2 * slot + member)
                self._order(photo, rng, orders, areas, whole_first=True)
            first = pair.order or self._direction(step, slot)
            if first == 0:
                even.append((nest, nest + 1))
            else:
                over.append((nest, nest + 1) if first > 0 else (nest + 1, nest))
            nest += 2
        return Plan(
            orders=orders,
            nest_B=np.repeat(np.arange(nest), self._settings.num_views),
            area_B=np.array(areas, np.float64),
            over_H2=np.array(over, np.int64).reshape(-1, 2),
            even_H2=np.array(even, np.int64).reshape(-1, 2),
        )

    def batch(self, plan: Plan, made: MadeViews) -> ViewBatch:
        """The views that were ordered, with what they say of one another.

        Where a broken photo was replaced, the views are of the other photo's class and its pair is left out.
        """
        nest_B = torch.from_numpy(plan.nest_B)
        area_B = torch.from_numpy(plan.area_B)
        content_B = torch.tensor([trace.content for trace in made.trace_B], dtype=torch.float64)
        ordered_B = np.array([order.photo for order in plan.orders], np.int64)
        replaced = np.unique(plan.nest_B[made.photo_B != ordered_B])
        over_H2, even_H2 = (
            torch.from_numpy(nests_H2[~np.isin(nests_H2, replaced).any(1)])
            for nests_H2 in (plan.over_H2, plan.even_H2)
        )
        nested_P2 = content_pairs(nest_B, area_B, content_B, self._settings.ordered_by)
        if self._settings.plain_over_edited:
            plain_B, edited_B = (
                torch.tensor([tells(order.chain) for order in plan.orders])
                for tells in (_is_plain, _is_edited)
            )
            nested_P2 = torch.cat([nested_P2, plain_pairs(nest_B, plain_B, edited_B)]).unique(dim=0)
        pixels_BHWC = torch.as_tensor(made.pixels_BHWC)
        return ViewBatch(
            pixels_BCHW=pixels_BHWC.permute(0, 3, 1, 2),
            label_B=torch.from_numpy(self._class_N[made.photo_B]),
            nest_B=nest_B,
            area_B=area_B,
            trace_B=made.trace_B,
            over_P2=torch.cat([nested_P2, over_pairs(nest_B, content_B, over_H2)]),
            even_E2=even_pairs(nest_B, content_B, even_H2),
            failures=made.failures,
        )

    def batches(self, executor: ViewExecutor, first: int, end: int) -> Generator[ViewBatch, None, None]:
        """Batches of steps first .. end - 1, made by `executor` ahead of their use."""
        plans = (self.plan(step) for step in range(first, end))
        return stream(_BatchMaker(self, executor), plans)

    def _order(
        self,
        photo: int,
        rng: np.random.Generator,
        orders: list[ViewOrder],
        areas: list[float],
        *,
        whole_first: bool = False,
    ) -> None:
        """Order the nested views of a photo. whole_first: the first is the photo as it is."""
        settings = self._settings
        recipe = RECIPES[settings.edit_recipe]
        crops = nested_crops(
            rng,
            settings.num_views,
            least_area=settings.least_area,
            whole_share=settings.whole_share,
            same_share=settings.same_share,
        )
        for number, crop in enumerate(crops):
            if (whole_first or settings.plain_first) and number == 0:
                crop, chain = _WHOLE, Chain((self._fit,))
            elif rng.random() < settings.edit_share:
                strength = settings.edit_strength
                if settings.least_strength < 1:
                    strength *= float(rng.uniform(settings.least_strength, 1))
                chain = recipe.sample(
                    rng, strength, crop=crop, fit=self._fit, size=self._photos.size_N[photo]
                )
                chain = kept_apart(chain, self._photos.related(photo), len(self._photos))
            else:
                chain = Chain((crop, self._fit))
            orders.append(ViewOrder(photo, chain))
            areas.append(crop.area)

    def _generator(self, step: int, slot: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, _VIEWS, step, slot])

    def _direction(self, step: int, slot: int) -> int:
        """Of a pair that has none: see `PairSettings.term`."""
        term = self._settings.pairs.term
        if term == "random":
            return int(np.random.default_rng([self._seed, _DIRECTION, step, slot]).choice((-1, 1)))
        return -1 if term == "one-way" else 0

    def _drawn(self, purpose: int, num: int, position: int) -> int:
        """Number `position` of a sequence in which all of `num` have their turn before any comes again."""
        turn, place = divmod(position, num)
        return int(_permutation(self._seed, purpose, turn, num)[place])


def _is_plain(chain: Chain) -> bool:
    """The photo as it is, resized."""
    return all(isinstance(edit, Fit) or edit == _WHOLE for edit in chain.edits)


def _is_edited(chain: Chain) -> bool:
    """More was done to it than cropping and resizing."""
    return not all(isinstance(edit, Crop | Fit) for edit in chain.edits)


def _own_slots(num_single: int, num_pairs: int, rank: int, world_size: int) -> tuple[list[int], range]:
    """The places in the batch of this rank's single photos and of its pairs, so that ranks have equal work.

    Pairs are dealt out in turn, then each single photo to whom has least.
    """
    own_pairs = shard_of(num_pairs, rank, world_size)
    num_photos = [2 * len(shard_of(num_pairs, other, world_size)) for other in range(world_size)]
    own = []
    for slot in range(num_single):
        least = num_photos.index(min(num_photos))
        num_photos[least] += 1
        if least == rank:
            own.append(slot)
    if min(num_photos) == 0:
        raise ValueError(
            f"recipe: a batch of {num_pairs} pairs and {num_single} other photos can't be divided over "
            f"{world_size} processes; start fewer"
        )
    return own, own_pairs


class _BatchMaker:
    """Makes the batches of plans as an executor makes the views of orders, and in the same threads."""

    def __init__(self, views: Views, executor: ViewExecutor) -> None:
        self._views = views
        self._executor = executor

    def make(self, plan: Plan) -> ViewBatch:
        return self._views.batch(plan, self._executor.make(plan.orders))


@lru_cache(maxsize=4)
def _permutation(seed: int, purpose: int, turn: int, num: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, purpose, turn]).permutation(num)

"""The batch of a step: P photos x K nested, edited views. It depends on (seed, step) and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asl_fast.edits import RECIPES, Chain, Fit, nested_crops
from asl_fast.images import Resize
from asl_fast.training.photos import Photos
from asl_fast.training.settings import TrainSettings

_ORDER, _VIEWS = 2, 3  # what a generator is for: distinct streams of one seed
_FIT_OF_MODE = {"square": "square", "short-center": "middle"}


@dataclass(frozen=True, kw_only=True)
class ViewBatch:
    """pixels_BCHW: uint8.  label_B: class, the photo's number.  nest_B: views of one nest have one number.

    area_B: share of the photo inside the crop.  visible_B: share of the crop that can still be seen.
    """

    pixels_BCHW: Tensor
    label_B: Tensor
    nest_B: Tensor
    area_B: Tensor
    visible_B: Tensor

    def to(self, device: torch.device) -> ViewBatch:
        return ViewBatch(**{name: getattr(self, name).to(device) for name in self.__dataclass_fields__})


class Views:
    """Batches by step. Photos come in a new random order each time all of them had their turn."""

    def __init__(self, photos: Photos, resize: Resize, settings: TrainSettings, seed: int) -> None:
        self._photos = photos
        self._resize = resize
        self._settings = settings
        self._seed = seed

    def batch(self, step: int) -> ViewBatch:
        size = self._settings.num_identities
        pixels, labels, areas, visible = [], [], [], []
        for slot in range(size):
            number = self._photo_at(step * size + slot)
            rng = np.random.default_rng([self._seed, _VIEWS, step, slot])
            for view, area, share in self._views_of(number, rng):
                pixels.append(view)
                labels.append(number)
                areas.append(area)
                visible.append(share)
        return ViewBatch(
            pixels_BCHW=torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(),
            label_B=torch.tensor(labels),
            nest_B=torch.arange(size).repeat_interleave(self._settings.num_views),
            area_B=torch.tensor(areas, dtype=torch.float64),
            visible_B=torch.tensor(visible, dtype=torch.float64),
        )

    def batches(self, first: int, end: int) -> Iterator[ViewBatch]:
        """Batches of steps first .. end - 1; the next one is made while the caller uses this one."""
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batch, first) if first < end else None
            for step in range(first, end):
                assert coming is not None
                batch = coming.result()
                if step + 1 < end:
                    coming = ahead.submit(self.batch, step + 1)
                yield batch

    def _photo_at(self, position: int) -> int:
        turn, place = divmod(position, len(self._photos))
        order = np.random.default_rng([self._seed, _ORDER, turn]).permutation(len(self._photos))
        return int(order[place])

    def _views_of(self, number: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, float, float]]:
        settings = self._settings
        recipe = RECIPES[settings.edit_recipe]
        fit = Fit(edge_px=self._resize.edge_px, way=_FIT_OF_MODE[self._resize.mode])
        photo = self._photos[number]
        size = (photo.shape[1], photo.shape[0])
        crops = nested_crops(
            rng, settings.num_views, least_area=settings.least_area, whole_share=settings.whole_share
        )
        for crop in crops:
            edited = rng.random() < settings.edit_share
            chain = (
                recipe.sample(rng, settings.edit_strength, crop=crop, fit=fit, size=size)
                if edited
                else Chain((crop, fit))
            )
            view = chain.view(photo, self._photos)
            yield view.pixels, crop.area, min(1.0, view.trace.content / crop.area)

"""The device that DALI's operators run on, and pictures on their way to it and back.

Operators are called one by one (DALI's dynamic mode), on batches of pictures of many sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import torch
from numpy.typing import NDArray
from nvidia.dali.tensors import TensorListCPU, TensorListGPU

from asl_fast.edits import Pixels

# One sample of a batch: uint8 (height, width, channels) on the device. It is the tensor that DALI keeps below
# the one of dynamic mode, which costs ten times as much to make: a view goes through a dozen batches.
Picture = Any  # nvidia.dali.tensors.TensorCPU or TensorGPU
Batch = Any  # nvidia.dali.experimental.dynamic.Batch


class Station:
    """device: "cpu", "cuda" or "cuda:N".  num_threads: of the CPU, for decoding and operators on it."""

    def __init__(self, device: str, num_threads: int) -> None:
        self.torch_device = torch.device(device)
        self.num_threads = num_threads
        if self.torch_device.type == "cuda" and self.torch_device.index is None:
            self.torch_device = torch.device("cuda", torch.cuda.current_device())
        if self.torch_device.type == "cpu":
            self._stream = None
            self._context = ndd.EvalContext(num_threads=num_threads)
        else:
            self._stream = torch.cuda.Stream(self.torch_device)
            self._context = ndd.EvalContext(
                num_threads=num_threads, device_id=self.torch_device.index, cuda_stream=self._stream
            )
        self.device = ndd.device(self.torch_device)

    @contextmanager
    def working(self) -> Iterator[None]:
        """In here DALI's and PyTorch's work on the device goes to one stream, in the order it is called."""
        with ExitStack() as stack:
            if self._stream is not None:
                stack.enter_context(torch.cuda.stream(self._stream))
            stack.enter_context(self._context)
            stack.enter_context(ndd.EvalMode.sync_cpu)  # a fault comes out where it was made
            yield

    def batch(self, pictures: Sequence[Picture]) -> Batch:
        """Pictures of one number of channels as a batch, without a copy."""
        kind = TensorListCPU if self._stream is None else TensorListGPU
        return ndd.as_batch(kind(list(pictures), "HWC", contiguous=False))

    def sent(self, arrays: Sequence[NDArray[Any]]) -> list[Picture]:
        """Pictures of the host, copied to the device."""
        if not arrays:
            return []
        return parts(ndd.batch(list(arrays), layout="HWC", device=self.device))

    def on_host(self, pictures: Sequence[Picture]) -> list[Pixels]:
        """Pictures as arrays that nobody may draw on: they may be DALI's own memory."""
        return [self.as_torch(picture).cpu().numpy() for picture in pictures]  # PyTorch waits for the copy

    def as_torch(self, picture: Picture) -> torch.Tensor:
        """A picture as a tensor that shares its memory."""
        shared: torch.Tensor = ndd.as_tensor(picture).torch()
        return shared

    def from_torch(self, pictures: Sequence[torch.Tensor]) -> list[Picture]:
        return parts(ndd.as_batch([picture.contiguous() for picture in pictures], layout="HWC"))

    def handed_over(self, batch: Batch) -> torch.Tensor:
        """A batch of one size as a tensor (batch, height, width, channels) that is done and may be kept.

        On a CPU it is DALI's memory. On a GPU it is a copy on the device: DALI may use its memory again
        while another stream still reads it.
        """
        pixels_BHWC: torch.Tensor = batch.torch()
        if self._stream is not None:
            pixels_BHWC = pixels_BHWC.clone()
            pixels_BHWC.record_stream(torch.cuda.default_stream(self.torch_device))
            self._stream.synchronize()
        return pixels_BHWC

    def close(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()


def each(values: Sequence[Any] | NDArray[Any], dtype: type = np.float32) -> Batch:
    """An operator's argument: one value, point or matrix a picture."""
    return ndd.as_batch(np.ascontiguousarray(values, dtype))


def parts(batch: Batch) -> list[Picture]:
    """The pictures of a batch, which live on without it."""
    stored = batch.evaluate()._storage  # there is no public way to it in DALI 2.4
    return [stored[place] for place in range(len(stored))]


def size_of(picture: Picture) -> tuple[int, int]:
    """(width, height)."""
    height, width, _ = picture.shape()
    return (width, height)

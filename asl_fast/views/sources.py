"""Where the encoded photos are: files, members of tar shards, or bytes in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from asl_fast.images import ImageFile


class PhotoSource(Protocol):
    """Photos by number. An executor calls it from several threads at once."""

    def __len__(self) -> int: ...

    def data(self, number: int, /) -> bytes:
        """The encoded file. OSError if it can't be read."""
        ...

    def name(self, number: int, /) -> str:
        """What the photo is called in `Failure.id`."""
        ...

    def place(self, number: int, /) -> str:
        """Where it lies, for `Failure.path`: one line of text."""
        ...


class FilePhotos:
    """What `images.find_images` found: pictures of a folder or list, members of tar shards."""

    def __init__(self, files: Sequence[ImageFile]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def data(self, number: int) -> bytes:
        return self.files[number].read()

    def name(self, number: int) -> str:
        return self.files[number].id

    def place(self, number: int) -> str:
        return self.files[number].shown_path


class MemoryPhotos:
    """Encoded files that are in memory already."""

    def __init__(self, encoded: Sequence[bytes]) -> None:
        self._encoded = encoded

    def __len__(self) -> int:
        return len(self._encoded)

    def data(self, number: int) -> bytes:
        return self._encoded[number]

    def name(self, number: int) -> str:
        return str(number)

    def place(self, number: int) -> str:
        return f"photo {number} in memory"

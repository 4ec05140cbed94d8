"""The picture behind an id, for the report: images/ decodes it, reports/ shows it."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from asl_fast.images import ImageError, ImageFile, decode, find_images
from asl_fast.records import Described
from asl_fast.reports import Picture

THUMBNAIL_HINT_PX = 512


def finder(embeddings: Described) -> Callable[[str], Picture | None]:
    """Id -> its picture: None where no path is known, without pixels where it can't be read."""
    if embeddings.path_N is None:
        return lambda _: None
    path_of = dict(zip(embeddings.ids, embeddings.path_N, strict=True))
    shards: dict[str, dict[str, ImageFile]] = {}

    def find(identity: str) -> Picture | None:
        path = path_of[identity]
        if not path:
            return None
        file, link = ImageFile(id=identity, path=path), path
        shard, is_member, _ = path.partition(".tar/")
        try:
            if is_member:
                link = f"{shard}.tar"
                if link not in shards:
                    shards[link] = {member.shown_path: member for member in find_images(link)}
                file = shards[link][path]
            return Picture(
                path=link, image=Image.fromarray(decode(file.read(), edge_px_hint=THUMBNAIL_HINT_PX))
            )
        except (OSError, ImageError, KeyError, ValueError):  # moved or changed since: the page says so
            return Picture(path=link)

    return find


def finder_in(source: str, argument: str) -> Callable[[str], Picture | None]:
    """Id -> its picture in a folder, list, table or shards; None for ids that are not there."""
    file_of = {file.id: file for file in find_images(source, argument=argument)}

    def find(identity: str) -> Picture | None:
        file = file_of.get(identity)
        if file is None:
            return None
        try:
            return Picture(
                path=file.path, image=Image.fromarray(decode(file.read(), edge_px_hint=THUMBNAIL_HINT_PX))
            )
        except (OSError, ImageError, ValueError):
            return Picture(path=file.path)

    return find

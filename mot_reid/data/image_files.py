"""Which image files are meant by a folder, a file or a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mot_reid.data.file_names import is_pattern, matching, natural
from mot_reid.data.images import SUFFIXES


def find_images(sources: Sequence[str], *, what: str) -> list[str]:
    """Returns the paths of image files in the order given, those of a folder in natural order.

    Args:
        sources: folders, whose images are taken with those of the folders inside, hidden ones left out; image files;
            or patterns such as `crops/*.jpg`.
        what: names the sources in a message.

    Raises:
        FileNotFoundError: there is no such file or folder, or a pattern matches nothing.
        ValueError: a folder holds no images.
    """
    return [path for source in sources for path in _found(source, what)]


def _found(source: str, what: str) -> list[str]:
    path = Path(source)
    if path.is_dir():
        inside = [
            one for one in path.rglob("*")
            if one.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in one.relative_to(path).parts)
        ]  # fmt: skip
        if not inside:
            raise ValueError(
                f"{what}: got the folder '{source}' without images; expected {', '.join(sorted(SUFFIXES))}"
            )
        return [str(one) for one in sorted(inside, key=lambda one: natural(one.as_posix()))]
    if path.is_file():
        return [source]
    found = matching(source) if is_pattern(source) else []
    if not found:
        raise FileNotFoundError(
            f"{what}: got '{source}'; expected an image file, a folder or a pattern; check the path"
        )
    return found

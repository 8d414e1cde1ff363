"""What may be given as the picture of a person: a file, a Pillow image or an array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = Union[str, os.PathLike[str], "Image", NDArray[np.uint8]]
"""The path of an image file, a Pillow image, or an (h, w, 3) uint8 array."""


def as_pictures(given: Picture | Sequence[Picture], *, color: str) -> Sequence[Picture]:
    """Returns pictures in a row, all of them checked; files are not opened.

    Args:
        given: one picture, several, or an (N, h, w, 3) array.
        color: order of the channels of arrays.

    Raises:
        ValueError: the colour is unknown, or what is given in a row is no picture.
    """
    if color not in ("rgb", "bgr"):
        raise ValueError(f"color: got {color!r}; expected 'rgb' or 'bgr'")
    alone = isinstance(given, (str, os.PathLike)) or _is_pillow(given) or getattr(given, "ndim", 4) == 3
    pictures: Sequence[Any] = [given] if alone else given  # type: ignore[assignment, list-item]
    for row, picture in enumerate(pictures):
        _check(picture, row)
    return pictures


def to_rgb(picture: Picture, *, color: str) -> NDArray[np.uint8]:
    """Returns the (h, w, 3) uint8 RGB pixels of a picture.

    Args:
        picture: one that `as_pictures` returned.
        color: order of the channels of an array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no image.
    """
    if isinstance(picture, np.ndarray):
        return picture[:, :, ::-1] if color == "bgr" else picture
    from mot_reid.data.images import decode, upright

    return decode(os.fspath(picture)) if isinstance(picture, (str, os.PathLike)) else upright(picture)


def _check(picture: object, row: int) -> None:
    """Refuses what is no picture."""
    if isinstance(picture, (str, os.PathLike)) or _is_pillow(picture):
        return
    if not isinstance(picture, np.ndarray):
        raise ValueError(
            f"crops: got {type(picture).__name__} in row {row}; expected an image file, a Pillow image or an array, "
            "uint8 (h, w, 3); check that it was loaded"
        )
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or picture.size == 0:
        raise ValueError(f"crops: got {picture.dtype} of shape {picture.shape} in row {row}; expected uint8 (h, w, 3)")


def _is_pillow(picture: object) -> bool:
    """Whether it is a Pillow image, without importing Pillow for those who have none."""
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(picture).__mro__)

"""Decode one image, or many at once, to (H, W, 3) uint8 RGB arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""File name endings, in lower case, that the folder readers take for images."""

_ORIENTATION = 0x0112  # the EXIF tag
_CHUNK = 256
_NO_FORMAT = (Image.UnidentifiedImageError, ModuleNotFoundError)
"""Once Ultralytics is imported, Pillow asks for pi_heif where it knows no format."""
_BAD = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, ModuleNotFoundError)

Item = TypeVar("Item")
Result = TypeVar("Result")


def decode(path: str | Path) -> NDArray[np.uint8]:
    """The picture in a file, upright as its EXIF orientation says.

    Args:
        path: An image file in any format that Pillow opens.

    Returns:
        (H, W, 3) uint8 RGB, writable.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is truncated, or is no image.
    """
    try:
        with Image.open(path) as image:
            return upright(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"image: got '{path}'; expected an existing file; check the path") from None
    except _BAD as error:
        raise ValueError(
            f"image: got '{path}' ({_reason(error)}); expected a whole image file; replace or remove the file"
        ) from None


def decode_bytes(encoded: bytes, *, format: str, max_pixels: int) -> NDArray[np.uint8]:
    """The picture in a file that a stranger sent, upright as its EXIF orientation says.

    Args:
        encoded: The file.
        format: The only format that is tried, by Pillow's name, such as "JPEG".
        max_pixels: Of a picture at most; a larger one is not decoded.

    Returns:
        (H, W, 3) uint8 RGB, writable.

    Raises:
        ValueError: The picture is too large, or the file is truncated or of another format.
    """
    try:
        with Image.open(BytesIO(encoded), formats=[format]) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(f"{image.width} x {image.height} pixels; at most {max_pixels:,} are allowed")
            return upright(image)
    except (*_BAD, MemoryError) as error:
        raise ValueError(f"image: got a file that is refused ({_reason(error)}); expected a whole image") from None


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """The JPEG file of a picture.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def decode_many(
    paths: Iterable[str | Path], *, workers: int | None = None, progress: bool = True
) -> list[NDArray[np.uint8]]:
    """The pictures in many files, decoded by threads and in the order of `paths`.

    Args:
        paths: N image files.
        workers: Threads; one for each processor when None.
        progress: Show a progress bar.

    Returns:
        N arrays, (H, W, 3) uint8 RGB each; sizes may differ.

    Raises:
        FileNotFoundError, ValueError: As `decode`, for the first bad file.
    """
    return list(in_threads(decode, list(paths), workers, "decoding" if progress else None))


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None, title: str | None
) -> Iterator[Result]:
    """The results of `function` in the order of `items`; a failure stops the work that has not begun.

    Args:
        function: Called in threads.
        items: Its arguments. Chunks of them keep few results waiting.
        workers: Threads; one for each processor when None.
        title: Of the progress bar; None shows none.
    """
    from tqdm import tqdm

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        remaining = iter(items)
        hidden = True if title is None else None  # None: shown on a terminal
        with tqdm(total=len(items), desc=title, unit="image", disable=hidden, leave=False) as bar:
            while chunk := list(islice(remaining, _CHUNK)):
                for result in pool.map(function, chunk):
                    bar.update()
                    yield result


def upright(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a Pillow image, upright as its EXIF orientation says.

    Args:
        image: Of any mode.

    Returns:
        (H, W, 3) uint8 RGB, writable.
    """
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # which Pillow would cut off at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return np.array(image.convert("RGB"))


def _reason(error: BaseException) -> str:
    return "no image format recognised" if isinstance(error, _NO_FORMAT) else str(error)

"""The frames of a folder of images."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mot_reid.data.file_names import frame_numbers, visible, warn_passed_over
from mot_reid.data.frame import BrokenFrameError, Frame
from mot_reid.data.images import SUFFIXES, decode
from mot_reid.data.motchallenge import read_sequence

_log = logging.getLogger(__name__)
_VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".ts", ".wmv", ".flv"})


class ImageFolder:
    """The images of a folder in natural order, numbered by their names where these agree.

    A MOTChallenge sequence knows its folder and frame rate.

    Args:
        folder: of images, or of a sequence.
        frame_rate: frames per second; None for what seqinfo.ini says, or 30.
        only: the single image of the folder to take; None for all.

    Attributes:
        frame_rate: frames per second.
        length: number of images.
        lost: frames for which there is no image.

    Raises:
        FileNotFoundError: a sequence without its folder of images.
        ValueError: no image, or two with one number.
    """

    live = False
    truncated = False

    def __init__(self, folder: Path, frame_rate: float | None, only: Path | None = None) -> None:
        sequence = None
        if only is None and (folder / "seqinfo.ini").is_file():
            sequence = read_sequence(folder)
            folder = folder / sequence.images
        elif only is None and (folder.parent / "seqinfo.ini").is_file():
            sequence = read_sequence(folder.parent)
        if not folder.is_dir():
            raise FileNotFoundError(f"video: got a sequence without its frames '{folder}'; expected a folder of images")
        self._paths = [only] if only else _list_images(folder)
        self.frame_rate = frame_rate or (sequence.frame_rate if sequence else 30.0)
        self.length: int | None = len(self._paths)
        self._numbers = _numbers(self._paths, folder)
        last = max(sequence.length if sequence else 0, self._numbers[-1])
        first = 1 if sequence else self._numbers[0]
        missing = sorted(set(range(first, last + 1)) - set(self._numbers))
        self.lost = len(missing)
        if missing:
            _log.warning(
                "%s: %d of %d frames are missing, frame %d first", folder, len(missing), last - first + 1, missing[0]
            )
        self._at = 0

    def read(self) -> Frame | None:
        """Returns the next image, or None at the end.

        Raises:
            BrokenFrameError: it cannot be decoded.
        """
        if self._at == len(self._paths):
            return None
        self._at += 1
        number = self._numbers[self._at - 1]
        try:
            image = decode(self._paths[self._at - 1])
        except (OSError, ValueError) as error:
            raise BrokenFrameError(str(error)) from None
        seconds = (number - self._numbers[0]) / self.frame_rate
        return Frame(number, seconds, np.ascontiguousarray(image[..., ::-1]))

    def reopen(self) -> bool:
        """Returns False: a folder is not lost."""
        return False

    def close(self) -> None:
        """Does nothing: no file stays open."""


def _list_images(folder: Path) -> list[Path]:
    entries = visible(folder)
    images = [path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file()]
    inner = [path for path in entries if path.is_dir()]
    deeper = [path for entry in inner for path in visible(entry) if path.suffix.lower() in SUFFIXES]
    if not images:
        videos = [path.name for path in entries if path.suffix.lower() in _VIDEOS]
        hint = f"; its folder '{deeper[0].parent.name}' has images: name that" if deeper else ""
        hint = f"; name a video in it, such as '{folder / videos[0]}'" if videos else hint
        raise ValueError(
            f"video: got the folder '{folder}' without images; expected {', '.join(sorted(SUFFIXES))} files{hint}"
        )
    warn_passed_over("video", deeper, folder, remedy="frames are the images of one folder; name that folder")
    return images


def _numbers(paths: list[Path], folder: Path) -> list[int]:
    """Returns the frame numbers in the names, or the places in natural order; says why where names are odd."""
    try:
        numbers, doubt = frame_numbers([path.name for path in paths])
    except ValueError as error:
        raise ValueError(f"video: folder '{folder}': {error}; expected one image a frame; remove one") from None
    if doubt:
        _log.warning("%s: %s, so that frames are counted in the order of their names", folder, doubt)
    return numbers

"""MOTChallenge on disk: seqinfo.ini, and the ground truth, detection and result files as `TrackTable`.

Every line is `frame, identity, left, top, width, height, confidence, ..`; frames count from 1. Coordinates are kept as
published, in both directions. (The benchmark's MATLAB tools count pixels from 1, so a box at the left edge may say 1
where our pixels say 0. Nobody shifts them, TrackEval and the trackers included: the pixel is below the accuracy of the
annotation, and a shift would make our files differ from everybody's.)
"""

from __future__ import annotations

import configparser
import io
import warnings
from collections.abc import Iterable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import BoolArray, IntArray
from mot_reid.boxes import tlwh_to_xyxy, xyxy_to_tlwh
from mot_reid.files import write_text
from mot_reid.structures import Detections, TrackTable, exact_below

PEDESTRIAN = 1
RESULT_ENDINGS = (".txt", ".csv", ".parquet")
"""Endings of the names of result files; only .txt is MOTChallenge's own."""
_NUMBERS = ("frame", "identity", "left", "top", "width", "height", "confidence")
_MOST_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Sequence:
    """What seqinfo.ini says of a sequence.

    Attributes:
        folder: Where the sequence lies.
        name: Such as MOT17-02-FRCNN.
        images: Folder of the frames, inside `folder`.
        frame_rate: Frames per second.
        length: Number of frames.
        width: Of a frame in pixels.
        height: Of a frame in pixels.
        extension: Ending of the frames' file names, such as `.jpg`.
    """

    folder: Path
    name: str
    images: str
    frame_rate: float
    length: int
    width: int
    height: int
    extension: str

    def frame_path(self, number: int) -> Path:
        """The image file of a frame, from 1: six digits, or eight or no leading zeros where such a file exists."""
        named = [self.folder / self.images / f"{number:0{digits}d}{self.extension}" for digits in (6, 8, 1)]
        return next((path for path in named if path.is_file()), named[0])

    @property
    def ground_truth_path(self) -> Path:
        """Of gt/gt.txt."""
        return self.folder / "gt" / "gt.txt"

    @property
    def detections_path(self) -> Path:
        """Of det/det.txt, the public detections."""
        return self.folder / "det" / "det.txt"


def read_sequence(folder: str | Path) -> Sequence:
    """What the seqinfo.ini of a sequence's folder says.

    Raises:
        FileNotFoundError: The folder has no seqinfo.ini.
        ValueError: A key is missing in it or has no sensible value.
    """
    path = Path(folder) / "seqinfo.ini"
    if not path.is_file():
        raise FileNotFoundError(f"sequence: got '{folder}' without seqinfo.ini; expected a MOTChallenge sequence")
    parser = configparser.ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
        section = parser["Sequence"]
        sequence = Sequence(
            folder=Path(folder),
            name=section["name"],
            images=section.get("imDir", "img1"),
            frame_rate=float(section["frameRate"]),
            length=int(section["seqLength"]),
            width=int(section["imWidth"]),
            height=int(section["imHeight"]),
            extension=section.get("imExt", ".jpg"),
        )
    except KeyError as error:
        raise ValueError(f"{path}: no key {error}; expected name, frameRate, seqLength, imWidth, imHeight") from None
    except (configparser.Error, ValueError) as error:
        raise ValueError(
            f"{path}: got {' '.join(str(error).split())}; expected [Sequence] with key=value lines"
        ) from None
    for name in ("frame_rate", "length", "width", "height"):
        if not 0 < getattr(sequence, name) < float("inf"):
            raise ValueError(f"{path}: {name}: got {getattr(sequence, name)}; expected a number above 0")
    return sequence


def read_sequences(root: str | Path, names: Iterable[str] | None = None) -> dict[str, Sequence]:
    """The sequences with a ground truth in a folder, by the names of their folders.

    Args:
        root: A folder of sequences, or a single sequence.
        names: Those to take, in this order; None for all, sorted.

    Raises:
        FileNotFoundError: There is none, or not one of the given name.
        ValueError: A seqinfo.ini is malformed.
    """
    root = Path(root)
    folders = [root] if (root / "seqinfo.ini").is_file() else sorted(path.parent for path in root.glob("*/seqinfo.ini"))
    found = {folder.resolve().name: folder for folder in folders if (folder / "gt" / "gt.txt").is_file()}
    if not found:
        raise FileNotFoundError(
            f"ground_truth: got '{root}'; expected folders with seqinfo.ini and gt/gt.txt in it; check the path"
        )
    wanted = list(found) if names is None else [name.strip() for name in names]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise FileNotFoundError(f"sequences: got '{missing[0]}'; expected some of {', '.join(found)}")
    return {name: read_sequence(found[name]) for name in wanted}


def write_sequence(sequence: Sequence) -> Path:
    """Write seqinfo.ini into the sequence's folder; returns its path."""
    lines = (
        f"[Sequence]\nname={sequence.name}\nimDir={sequence.images}\nframeRate={sequence.frame_rate:g}\n"
        f"seqLength={sequence.length}\nimWidth={sequence.width}\nimHeight={sequence.height}\n"
        f"imExt={sequence.extension}\n"
    )
    return write_text(sequence.folder / "seqinfo.ini", lines)


def read_ground_truth(path: str | Path) -> TrackTable:
    """The rows of a gt.txt in their order.

    A row whose seventh number is 0 is marked `ignore`. `class_id` is the file's (1 pedestrian .. 12 reflection) in the
    format of MOT16, MOT17 and MOT20 (8 or 9 numbers a line); that of MOT15 (7 or 10) has pedestrians only.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A malformed line, which is named, or an empty file.
    """
    numbers = _read(path)
    if not len(numbers):
        raise ValueError(f"'{path}': got an empty file; expected ground truth; check the file")
    has_class = numbers.shape[1] in (8, 9)
    if has_class:
        _refuse_rows(
            path,
            (numbers[:, 7] != np.round(numbers[:, 7])) | (numbers[:, 7] < 1),
            numbers[:, 7],
            "class",
            "1 for a person, or another class of MOTChallenge (2 to 13); a ground truth without classes has 7 numbers "
            "a line, so drop the columns after the seventh and score it with benchmark=MOT15",
        )
    return _table(
        path,
        numbers,
        score=np.ones(len(numbers)),
        class_id=numbers[:, 7].astype(np.int64) if has_class else np.full(len(numbers), PEDESTRIAN),
        ignore=numbers[:, 6] == 0,
    )


def read_visibility(path: str | Path) -> NDArray[np.float64]:
    """(M,) share of each box of a gt.txt that is seen, 0 to 1, in the order of `read_ground_truth`.

    Files without this column (MOT15) have 1 everywhere.

    Raises:
        FileNotFoundError, ValueError: As `read_ground_truth`; or a value out of range.
    """
    numbers = _read(path)
    if numbers.shape[1] != 9:
        return np.ones(len(numbers))
    _refuse_rows(path, (numbers[:, 8] < 0) | (numbers[:, 8] > 1), numbers[:, 8], "visibility", "a number from 0 to 1")
    return numbers[:, 8]


def read_detections(path: str | Path) -> TrackTable:
    """The rows of a det.txt in their order, sorted or not; `track_id` is 0 throughout, and `score` as published.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A malformed line, which is named.
    """
    numbers = _read(path).copy()
    numbers[:, 1] = 0
    return _table(path, numbers, score=numbers[:, 6])


def find_results(root: str | Path, names: Sequences[str], *, chosen: bool = False) -> dict[str, Path]:
    """Returns the result file of each sequence.

    Args:
        root: A folder of files (.txt, .csv or .parquet), one with a folder `data` of them, or the file of a single
            sequence.
        names: Of the sequences.
        chosen: Whether other files may be there, too.

    Raises:
        FileNotFoundError: A sequence has no file.
        ValueError: A file belongs to no sequence, or a sequence has two.
    """
    root = Path(root)
    if root.is_file() and len(names) == 1:
        return {names[0]: root}
    if not root.is_dir():
        raise FileNotFoundError(f"results: got '{root}'; expected a folder with {names[0]}.txt; check the path")
    files = list_results(root)
    missing, extra = [name for name in names if name not in files], sorted(set(files) - set(names))
    if missing:
        others = f"; these belong to no sequence: {', '.join(extra)}" if extra else ""
        raise FileNotFoundError(f"results: got no {', '.join(f'{name}.txt' for name in missing)} in '{root}'{others}")
    if extra and not chosen:
        raise ValueError(
            f"results: got {', '.join(files[name].name for name in extra)} in '{root}', but there is no such sequence; "
            f"remove them, or choose the sequences to score with sequences={','.join(names)}"
        )
    return {name: files[name] for name in names}


def list_results(root: str | Path) -> dict[str, Path]:
    """Returns the result files in a folder, or in its folder `data`, by the names of their sequences.

    Raises:
        ValueError: A sequence has two.
    """
    root = Path(root)
    return _result_files(root) or (_result_files(root / "data") if (root / "data").is_dir() else {})


def _result_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix in RESULT_ENDINGS):
        other = found.setdefault(path.stem, path)
        if other != path:
            raise ValueError(
                f"results: got {other.name} and {path.name} in '{folder}'; expected one file of a sequence; remove one"
            )
    return found


def read_results(path: str | Path) -> TrackTable:
    """The rows of a tracker's result file in their order; no line at all is a tracker that found nothing.

    Boxes of negative size, which trackers do write, get size 0: they are found nowhere.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A malformed line, which is named.
    """
    numbers = _read(path).copy()
    identity = numbers[:, 1]
    rule = "a whole number from 0"
    if len(identity) and (identity == -1).all():
        rule += "; -1 in every line is a file of detections: give the file that the tracker wrote"
    _refuse_rows(path, (identity != np.round(identity)) | (identity < 0), identity, "identity", rule)
    numbers[:, 4:6] = np.maximum(numbers[:, 4:6], 0)
    return _table(path, numbers, score=numbers[:, 6])


def by_frame(table: TrackTable, length: int) -> list[Detections]:
    """One set of detections for each of the frames 1 .. length, rows in their order.

    Raises:
        ValueError: A frame beyond `length`, or scores outside of 0 to 1.
    """
    if len(table) and table.frame.max() > length:
        raise ValueError(f"frame: got {table.frame.max()}; expected at most {length}, the length of the sequence")
    order = np.argsort(table.frame, kind="stable")
    ends = np.searchsorted(table.frame[order], np.arange(1, length + 2))
    rows = [order[start:stop] for start, stop in pairwise(ends)]
    return [Detections(table.xyxy[row], table.score[row], table.class_id[row]) for row in rows]


def write_results(path: str | Path, table: TrackTable) -> Path:
    """Write a result file as the benchmark's server takes it: by frame and identity, to a hundredth of a pixel.

    The file appears whole or not at all. Returns its path.
    """
    return write_text(path, result_lines(table))


def result_lines(table: TrackTable) -> str:
    """What `write_results` writes."""
    rows = np.lexsort((table.track_id, table.frame))
    numbers = zip(table.frame[rows], table.track_id[rows], xyxy_to_tlwh(table.xyxy[rows]).tolist(), table.score[rows])
    return "".join(
        f"{frame},{identity},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.6g},-1,-1,-1\n"
        for frame, identity, (left, top, width, height), score in numbers
    )


def write_detections(path: str | Path, table: TrackTable) -> Path:
    """Write a det.txt: a result file with -1 for every identity. Returns its path."""
    numbers = zip(table.frame, xyxy_to_tlwh(table.xyxy).tolist(), table.score)
    return write_text(
        path,
        "".join(
            f"{frame},-1,{left:.10g},{top:.10g},{width:.10g},{height:.10g},{score:.10g},-1,-1,-1\n"
            for frame, (left, top, width, height), score in numbers
        ),
    )


def write_ground_truth(path: str | Path, table: TrackTable, visibility: NDArray[np.float64] | None = None) -> Path:
    """Write a gt.txt in the format of MOT17, rows in their order; fully visible if not said otherwise.

    The file appears whole or not at all. Returns its path.
    """
    seen = np.ones(len(table)) if visibility is None else visibility
    numbers = zip(
        table.frame, table.track_id, xyxy_to_tlwh(table.xyxy).tolist(), ~table.ignore, table.class_id, seen, strict=True
    )
    return write_text(
        path,
        "".join(
            f"{frame},{identity},{left:.10g},{top:.10g},{width:.10g},{height:.10g},{counts:d},{class_id},{share:.5g}\n"
            for frame, identity, (left, top, width, height), counts, class_id, share in numbers
        ),
    )


def _read(path: str | Path) -> NDArray[np.float64]:
    """(M, 7 to 10) numbers, finite, with sensible frames."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"'{path}': no such file; expected a MOTChallenge text file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}': got {error}; expected a MOTChallenge text file") from None
    delimiter = "," if "," in text.partition("\n")[0] else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty file
            numbers = np.loadtxt(io.StringIO(text), delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        _explain(path, text, delimiter)
        raise
    if not numbers.size:
        return np.zeros((0, _MOST_COLUMNS))
    if not len(_NUMBERS) <= numbers.shape[1] <= _MOST_COLUMNS:
        raise ValueError(
            f"'{path}' line 1: got {numbers.shape[1]} numbers; expected 7 to 10: {', '.join(_NUMBERS)}, .."
        )
    for name, column in zip(_NUMBERS, numbers.T):
        _refuse_rows(path, ~np.isfinite(column), column, name, "a finite number")
    _check_whole(path, numbers[:, 0], "frame", least=1)
    return numbers


def _explain(path: Path, text: str, delimiter: str | None) -> None:
    """Raise ValueError for the first line that is unlike the others."""
    expected = None
    for line, content in enumerate(text.splitlines(), start=1):
        words = content.split(delimiter)
        if not content.strip():
            continue
        for word in words:
            try:
                float(word)
            except ValueError:
                raise ValueError(f"'{path}' line {line}: got '{word.strip()[:40]}'; expected a number") from None
        expected = expected or len(words)
        if len(words) != expected:
            raise ValueError(
                f"'{path}' line {line}: got {len(words)} numbers; expected {expected} as in the first line"
            )


def _refuse_rows(path: str | Path, wrong: BoolArray, values: NDArray[np.float64], name: str, rule: str) -> None:
    """Raise ValueError naming the line of the first wrong row; blank lines are no rows."""
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    filled = [n for n, content in enumerate(Path(path).read_text("utf-8-sig").splitlines(), 1) if content.strip()]
    raise ValueError(f"'{path}' line {filled[row]}: {name}: got {values[row]:g}; expected {rule}")


def _check_whole(path: str | Path, values: NDArray[np.float64], name: str, *, least: int) -> None:
    wrong = (values != np.round(values)) | (values < least)
    rule = f"a whole number from {least}"
    if least == 1 and len(values) and values.min() == 0:
        rule += "; frames that are counted from 0 need 1 added to each of them"
    _refuse_rows(path, wrong, values, name, rule)
    below = exact_below(values.dtype)
    _refuse_rows(path, values >= below, values, name, f"a number below {below}, above which neighbours become one")


def _table(
    path: str | Path,
    numbers: NDArray[np.float64],
    *,
    score: NDArray[np.float64],
    class_id: IntArray | None = None,
    ignore: BoolArray | None = None,
) -> TrackTable:
    _check_whole(path, numbers[:, 1], "identity", least=0)
    for column, name in ((4, "width"), (5, "height")):
        _refuse_rows(path, numbers[:, column] < 0, numbers[:, column], name, "0 or more")
    return TrackTable(
        frame=numbers[:, 0].astype(np.int64),
        track_id=numbers[:, 1].astype(np.int64),
        xyxy=tlwh_to_xyxy(numbers[:, 2:6]),
        score=score,
        class_id=np.zeros(len(numbers), dtype=np.int64) if class_id is None else class_id,
        ignore=np.zeros(len(numbers), dtype=np.bool_) if ignore is None else ignore,
    )

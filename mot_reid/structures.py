"""The types that flow: frozen struct-of-arrays, validated once.

`Columns` is the behaviour they share; a type adds its fields, one `COLUMNS` entry per field and what must hold between
them. Geometry is float64, appearance float32, identities int64; arrays are read-only; an absent column is `None`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, IntArray, StrArray, all_true
from mot_reid.extras import require

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import supervision as sv

Array = NDArray[Any]

_C = TypeVar("_C", bound="Columns")
_COORDINATE_LIMIT = 1e7
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True)
class Column:
    """What one field of a struct-of-arrays holds.

    Attributes:
        dtype: NumPy type of the array (`str` for text).
        width: `None` for `(N,)`; a number for `(N, width)`; -1 for `(N, any)`.
        optional: whether the column may be absent (`None`).
        fill: value of every row when the column is not given and not optional; `None` means it must be given.
    """

    dtype: type
    width: int | None = None
    optional: bool = False
    fill: float | bool | str | None = None


class Columns:
    """Base of the struct-of-arrays types: length, selection, concatenation, tables.

    A subclass is a `@dataclass(frozen=True, slots=True, eq=False)` whose fields are named in `COLUMNS` in the same
    order, and may override `_check` for what must hold beyond type, shape and equal length.
    """

    __slots__ = ()
    COLUMNS: ClassVar[dict[str, Column]] = {}

    def __post_init__(self) -> None:
        given: dict[str, Array | None] = {}
        for name, column in self.COLUMNS.items():
            given[name] = _as_column(type(self).__name__, name, getattr(self, name), column=column)
        lengths = {name: len(array) for name, array in given.items() if array is not None}
        rows = next(iter(lengths.values()))
        if any(length != rows for length in lengths.values()):
            raise ValueError(f"{type(self).__name__}: got {_spell(lengths)} rows; expected one length for all columns")
        for name, column in self.COLUMNS.items():
            array = given[name]
            if array is None and not column.optional:
                array = np.full(_shape(rows, column), column.fill, dtype=column.dtype)
            if array is not None:
                array.flags.writeable = False
            object.__setattr__(self, name, array)
        self._check()

    def _check(self) -> None:
        """Raises ValueError for what type, shape and length do not say. Called once, at construction."""

    def __len__(self) -> int:
        first = next(iter(self.COLUMNS))
        return len(getattr(self, first))

    def __getitem__(self: _C, index: ArrayLike | slice) -> _C:
        """Returns the rows chosen by a boolean mask, an index, indices or a slice: always the same type.

        Raises:
            IndexError: if a mask has another length than the table or an index is out of range.
        """
        key: Any = index if isinstance(index, slice) else np.asarray(index)
        if not isinstance(key, slice):
            key = np.atleast_1d(key)
            if key.dtype != np.bool_:
                key = key.astype(np.int64, casting="same_kind") if key.size else np.zeros(0, np.int64)
        return self._trusted({name: None if array is None else array[key] for name, array in self._arrays().items()})

    def __iter__(self: _C) -> Iterator[_C]:
        """Yields tables of one row."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shapes = (f"{n} {a.dtype}{list(a.shape)}" for n, a in self._arrays().items() if a is not None)
        return f"{type(self).__name__}({len(self)} rows: {', '.join(shapes)})"

    @classmethod
    def empty(cls: type[_C]) -> _C:
        """Returns the table of no rows; optional columns are absent."""
        return cls._trusted(
            {n: None if c.optional else np.zeros(_shape(0, c), dtype=c.dtype) for n, c in cls.COLUMNS.items()}
        )

    @classmethod
    def concatenate(cls: type[_C], parts: Iterable[_C]) -> _C:
        """Returns the rows of all parts in their order.

        Raises:
            ValueError: if an optional column is given in some parts that have rows and absent in others.
        """
        tables = [part for part in parts if len(part)]
        if not tables:
            return cls.empty()
        joined: dict[str, Array | None] = {}
        for name in cls.COLUMNS:
            arrays = [getattr(table, name) for table in tables]
            absent = [array is None for array in arrays]
            if any(absent) and not all(absent):
                raise ValueError(
                    f"{cls.__name__}.concatenate: got '{name}' in {absent.count(False)} of {len(tables)} parts; "
                    "expected it in all or in none; drop it with replace(...) first"
                )
            joined[name] = None if all(absent) else np.concatenate(arrays)
        return cls(**cast(Any, joined))

    def replace(self: _C, **columns: ArrayLike | None) -> _C:
        """Returns a copy with the named columns exchanged, validated anew.

        Raises:
            ValueError: if a name is no column of this type or a value does not fit.
        """
        for name in columns:
            if name not in self.COLUMNS:
                raise ValueError(
                    f"{type(self).__name__}: no column '{name}'; expected one of {', '.join(self.COLUMNS)}"
                )
        return type(self)(**cast(Any, {**self._arrays(), **columns}))

    def to_pandas(self) -> pd.DataFrame:
        """Returns a DataFrame: boxes as x1, y1, x2, y2, embeddings as a column of vectors, absent columns left out."""
        require("pandas", "to_pandas")
        import pandas as pd

        frame: dict[str, Any] = {}
        for name, array in self._arrays().items():
            if array is None:
                continue
            if name == "xyxy":
                frame.update(zip(("x1", "y1", "x2", "y2"), array.T))
            else:
                frame[name] = list(array) if array.ndim > 1 else array
        return pd.DataFrame(frame)

    def _repr_html_(self) -> str:
        """Returns a small table for notebooks: the first rows, boxes rounded to a tenth of a pixel."""
        shown = min(len(self), 8)
        names = [n for n, a in self._arrays().items() if a is not None]
        head = "".join(f"<th>{escape(n)}</th>" for n in names)
        cells = ("".join(f"<td>{escape(_cell(getattr(self, n)[i]))}</td>" for n in names) for i in range(shown))
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        more = f"<caption>and {len(self) - shown:,} more rows</caption>" if len(self) > shown else ""
        title = f"<b>{type(self).__name__}</b> · {len(self):,} row{'' if len(self) == 1 else 's'}"
        return f"<div>{title}<table>{more}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"

    def _arrays(self) -> dict[str, Array | None]:
        return {name: getattr(self, name) for name in self.COLUMNS}

    @classmethod
    def _trusted(cls: type[_C], arrays: dict[str, Array | None]) -> _C:
        """Builds a table from arrays known to be valid, without checking or copying them; makes them read-only."""
        table, put = object.__new__(cls), object.__setattr__
        for name, array in arrays.items():
            if array is not None:
                array.setflags(write=False)
            put(table, name, array)
        return table


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Detections(Columns):
    """What a detector found in one frame.

    Attributes:
        xyxy: `(N, 4)` boxes in pixels, x1 <= x2, y1 <= y2.
        score: `(N,)` confidence in [0, 1].
        class_id: `(N,)`; 0 for every row when not given.
        embedding: `(N, D)` float32 unit vectors or `None`; a row of NaN is an embedding that was not computed.

    Raises:
        ValueError: naming the column, the row and what was expected there.
    """

    xyxy: FloatArray
    score: FloatArray
    class_id: IntArray = None  # type: ignore[assignment]
    embedding: Float32Array | None = None

    COLUMNS: ClassVar[dict[str, Column]] = {
        "xyxy": Column(float, 4),
        "score": Column(float),
        "class_id": Column(np.int64, fill=0),
        "embedding": Column(np.float32, -1, optional=True),
    }

    def to_supervision(self) -> sv.Detections:
        """Returns the boxes as supervision's `Detections`, whose annotators and zones take them.

        Embeddings have no place there and are left out.

        Raises:
            ImportError: supervision is not installed.
        """
        return _supervision().Detections(
            xyxy=self.xyxy.copy(), confidence=self.score.copy(), class_id=self.class_id.copy()
        )

    def _check(self) -> None:
        _check_boxes("Detections.xyxy", self.xyxy)
        _check_score("Detections.score", self.score)
        if self.embedding is not None:
            _check_unit("Detections.embedding", self.embedding)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tracks(Columns):
    """What a tracker says of one frame.

    Attributes:
        xyxy: `(T, 4)` boxes in pixels.
        track_id: `(T,)` identities 1, 2, 3 .. in the order of their first report; unique in a frame.
        score: `(T,)` score of the detection last seen of the track.
        class_id: `(T,)`.
        detection: `(T,)` row of the frame's detections that each track was matched with, or `None` for tracks that
            were not seen in this frame (lost, coasted).

    Raises:
        ValueError: naming the column, the row and what was expected there.
    """

    xyxy: FloatArray
    track_id: IntArray
    score: FloatArray = None  # type: ignore[assignment]
    class_id: IntArray = None  # type: ignore[assignment]
    detection: IntArray | None = None

    COLUMNS: ClassVar[dict[str, Column]] = {
        "xyxy": Column(float, 4),
        "track_id": Column(np.int64),
        "score": Column(float, fill=1.0),
        "class_id": Column(np.int64, fill=0),
        "detection": Column(np.int64, optional=True),
    }

    def to_supervision(self) -> sv.Detections:
        """Returns the tracks as supervision's `Detections`, identities as its `tracker_id`.

        Raises:
            ImportError: supervision is not installed.
        """
        return _supervision().Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.score.copy(),
            class_id=self.class_id.copy(),
            tracker_id=self.track_id.copy(),
        )

    def _check(self) -> None:
        _check_boxes("Tracks.xyxy", self.xyxy)
        _check_score("Tracks.score", self.score)
        _check_rows("Tracks.track_id", self.track_id, self.track_id < 1, rule="identities from 1")
        if len(np.unique(self.track_id)) != len(self):
            raise ValueError(f"Tracks.track_id: got {self.track_id.tolist()}; expected every identity once in a frame")
        if self.detection is not None:
            _check_rows("Tracks.detection", self.detection, self.detection < 0, rule="a row index, from 0")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TrackTable(Columns):
    """A sequence of frames with identities: the content of a MOTChallenge file.

    Attributes:
        frame: `(M,)` frame number, from 1.
        track_id: `(M,)` identity, 0 or more.
        xyxy: `(M, 4)` boxes in pixels.
        score: `(M,)`; 1 for every row when not given.
        class_id: `(M,)`; 0 for every row when not given.
        ignore: `(M,)` rows of a ground truth that count neither as hit nor as miss; False when not given.
        filled: `(M,)` rows that were put into gaps afterwards, or `None` for what was reported frame by frame: a table
            that has the column was made offline, with knowledge of later frames (see `refine`).

    Raises:
        ValueError: naming the column, the row and what was expected there.
    """

    frame: IntArray
    track_id: IntArray
    xyxy: FloatArray
    score: FloatArray = None  # type: ignore[assignment]
    class_id: IntArray = None  # type: ignore[assignment]
    ignore: BoolArray = None  # type: ignore[assignment]
    filled: BoolArray | None = None

    COLUMNS: ClassVar[dict[str, Column]] = {
        "frame": Column(np.int64),
        "track_id": Column(np.int64),
        "xyxy": Column(float, 4),
        "score": Column(float, fill=1.0),
        "class_id": Column(np.int64, fill=0),
        "ignore": Column(bool, fill=False),
        "filled": Column(bool, optional=True),
    }

    def _check(self) -> None:
        _check_rows("TrackTable.frame", self.frame, self.frame < 1, rule="frame numbers from 1")
        _check_rows("TrackTable.track_id", self.track_id, self.track_id < 0, rule="identities from 0")
        _check_boxes("TrackTable.xyxy", self.xyxy)
        _check_rows("TrackTable.score", self.score, ~np.isfinite(self.score), rule="a finite number")

    @classmethod
    def from_frames(cls, frames: Iterable[Tracks]) -> TrackTable:
        """Returns the table of a video whose n-th item (from 1) is what the tracker said of frame n."""
        tracks = [Tracks.empty(), *frames]
        number = np.repeat(np.arange(len(tracks)), [len(item) for item in tracks])
        joined = [
            np.concatenate([getattr(item, n) for item in tracks]) for n in ("track_id", "xyxy", "score", "class_id")
        ]
        return cls(number, *joined)

    @classmethod
    def load(cls, path: str | Path) -> TrackTable:
        """Returns the tracks in a file: MOTChallenge text, or a CSV or Parquet file that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if a line is malformed, which is named, or a column is missing.
            ImportError: if it is a Parquet file and pyarrow is not installed.
        """
        from mot_reid.data.tables import read_tracks

        return read_tracks(path)

    def rows_by_frame(self) -> dict[int, IntArray]:
        """Returns the rows of each frame that has any, by its number; frames grow, and rows keep their order."""
        order = np.argsort(self.frame, kind="stable")
        number, start = np.unique(self.frame[order], return_index=True)
        return dict(zip(number.tolist(), np.split(order, start[1:])))

    def rows_by_track(self) -> dict[int, IntArray]:
        """Returns the rows of each track by frame, by its identity; identities grow."""
        order = np.lexsort((self.frame, self.track_id))
        identity, start = np.unique(self.track_id[order], return_index=True)
        return dict(zip(identity.tolist(), np.split(order, start[1:])))

    def save(self, path: str | Path) -> Path:
        """Writes the tracks, by frame and identity, and returns the path; the file appears whole or not at all.

        Args:
            path: a name ending in .txt (MOTChallenge text: to a hundredth of a pixel, without classes), .csv or
                .parquet (every digit, with classes, and `filled` where there is one). `ignore` is kept in none of them.

        Raises:
            ValueError: if the name ends otherwise.
            OSError: if the file cannot be written.
            ImportError: if it is a Parquet file and pyarrow is not installed.
        """
        from mot_reid.data.tables import write_tracks

        return write_tracks(path, self)

    def to_coco(
        self, *, file_name: str = "{frame:06d}.jpg", class_names: Mapping[int, str] | None = None
    ) -> dict[str, Any]:
        """Returns the table in COCO's format, ready for `json.dump`: one image a frame, one annotation a box.

        Each annotation has `track_id` and `score` as well; a row to be ignored has `iscrowd` 1.

        Args:
            file_name: name of a frame's image, in which {frame} is its number.
            class_names: name of each class; "person" for class 0 and "class_N" for others where not given.
        """
        names = class_names or {}
        images = [{"id": n, "file_name": file_name.format(frame=n), "frame_id": n} for n in _numbers(self.frame)]
        categories = [
            {"id": n, "name": names.get(n, "person" if n == 0 else f"class_{n}")} for n in _numbers(self.class_id)
        ]
        size = self.xyxy[:, 2:] - self.xyxy[:, :2]
        columns = (self.frame, self.track_id, self.xyxy[:, :2], size, self.score, self.class_id, self.ignore)
        annotations = [
            {
                "id": number,
                "image_id": frame,
                "category_id": class_id,
                "bbox": [*corner, *extent],
                "area": extent[0] * extent[1],
                "iscrowd": int(ignore),
                "track_id": track_id,
                "score": score,
            }
            for number, (frame, track_id, corner, extent, score, class_id, ignore) in enumerate(
                zip(*(column.tolist() for column in columns)), start=1
            )
        ]
        return {"images": images, "annotations": annotations, "categories": categories}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decisions(Columns):
    """Why a tracker matched what it matched in one frame.

    Attributes:
        track_id: `(K,)` identity; 0 for a track that was not reported yet.
        detection: `(K,)` row of the frame's detections.
        stage: `(K,)` what decided: `<band of the box>/<group of tracks>/<cost>`, or `memory`.
        iou: `(K,)` overlap of the predicted and the detected box; NaN where it was not asked.
        cosine: `(K,)` similarity of appearance; NaN where it was not asked.
        cost: `(K,)` cost of the pair.
    """

    track_id: IntArray
    detection: IntArray
    stage: StrArray
    iou: FloatArray
    cosine: FloatArray
    cost: FloatArray

    COLUMNS: ClassVar[dict[str, Column]] = {
        "track_id": Column(np.int64),
        "detection": Column(np.int64),
        "stage": Column(str),
        "iou": Column(float),
        "cosine": Column(float),
        "cost": Column(float),
    }


def _supervision() -> Any:
    """Returns the package supervision, which is imported for those only who ask for its types."""
    try:
        import supervision
    except ImportError:
        raise ImportError("to_supervision: supervision is not installed; pip install supervision") from None
    return supervision


def _numbers(column: IntArray) -> list[int]:
    return [int(number) for number in np.unique(column)]


def as_detections(value: Any) -> Detections:
    """Returns detections from what a detector gives.

    Args:
        value: a `Detections`; an `(N, 5)` or `(N, 6)` array of x1, y1, x2, y2, score and class; an Ultralytics result
            (or its `.boxes`); a supervision `Detections`. The last two are recognised by their attributes.

    Raises:
        ValueError: if it is none of these, or its values are no valid detections.
    """
    if isinstance(value, Detections):
        return value
    if isinstance(value, np.ndarray):
        return _from_array(value)
    boxes: Any = getattr(value, "boxes", value)
    if boxes is None:
        raise ValueError(
            f"as_detections: got a {type(value).__name__} without boxes; expected the result of a box detector"
        )
    if hasattr(boxes, "xyxy") and hasattr(boxes, "conf"):
        return Detections(_numpy(boxes.xyxy), _numpy(boxes.conf), _class_ids(boxes.cls))
    if hasattr(value, "xyxy") and hasattr(value, "confidence"):
        if value.confidence is None:
            raise ValueError("as_detections: got confidence None; expected a score for every box")
        class_id = None if getattr(value, "class_id", None) is None else _class_ids(value.class_id)
        return Detections(_numpy(value.xyxy), _numpy(value.confidence), cast(Any, class_id))
    _refuse_known_mistakes(value)
    if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
        raise ValueError(f"as_detections: got {type(value).__name__}; {_ACCEPTED}")
    try:
        array = _numpy([_numpy(row) for row in value] if isinstance(value, (list, tuple)) else value)
    except ValueError:  # NumPy's, on rows of several lengths
        raise ValueError(f"as_detections: got rows of several lengths in {_short(value)}; {_ACCEPTED}") from None
    return _from_array(array)


_ACCEPTED = "expected Detections, an (N, 5) or (N, 6) array, an Ultralytics result or a supervision Detections"


def _refuse_known_mistakes(value: Any) -> None:
    """Raises ValueError for what people pass who come from another library, with the line that mends it."""
    if isinstance(value, Mapping):
        raise ValueError(
            f"as_detections: got a dictionary with {', '.join(map(str, value)) or 'no keys'}; {_ACCEPTED}; "
            "pass Detections(xyxy, score, class_id) made of its values"
        )
    if isinstance(value, Iterator):
        raise ValueError(
            f"as_detections: got a {type(value).__name__}, which holds the results of many images; "
            "expected the result of one; call update for each item of it"
        )
    if not isinstance(value, (list, tuple)) or not value:
        return
    first, kind = value[0], type(value[0]).__name__
    if hasattr(first, "boxes") or hasattr(first, "xyxy") or isinstance(first, Mapping):
        what = "a dictionary" if isinstance(first, Mapping) else kind
        one = "pass results[0]" if len(value) == 1 else "call update for each of them"
        raise ValueError(
            f"as_detections: got a list of {len(value)} results ({what}), one for each image; "
            f"expected the result of one image; {one}"
        )
    tables = not isinstance(first, (list, tuple)) and _numpy(first).ndim == 2
    if tables and all(_numpy(item).shape[1:] == _numpy(first).shape[1:] for item in value):
        raise ValueError(
            f"as_detections: got a list of {len(value)} arrays of boxes, one for each image; expected the array of one "
            f"image; {'pass arrays[0]' if len(value) == 1 else 'call update for each of them'}"
        )
    if tables and len(value) in (2, 3):
        what, names = ("a pair of boxes and scores", "boxes, scores")
        if len(value) == 3:
            what, names = ("three arrays, such as boxes, scores and classes", "boxes, scores, class_id")
        raise ValueError(f"as_detections: got {what}; {_ACCEPTED}; pass Detections({names})")
    if isinstance(first, (list, tuple)) and first and np.ndim(cast(Any, first[0])) == 1:
        raise ValueError(
            "as_detections: got a list of (box, score, class) rows as DeepSORT takes them; expected one row of numbers "
            "for each box; pass np.array([[l, t, l + w, t + h, score, class_id] for (l, t, w, h), score, class_id in "
            "rows])"
        )


def _from_array(array: Array) -> Detections:
    if array.size == 0 and array.ndim <= 2:
        return Detections.empty()
    if array.ndim != 2 or array.shape[1] not in (5, 6):
        raise ValueError(f"as_detections: got an array of shape {array.shape}; {_ACCEPTED}{_hint(array.shape)}")
    if array.dtype.kind not in "fiu":
        array = _as_numbers(array)
    class_id = _class_ids(array[:, 5]) if array.shape[1] == 6 else np.zeros(len(array), np.int64)
    # The same checks as the constructor's, without its search for shapes and types: this runs once per frame.
    array = np.array(array[:, :5], dtype=np.float64)
    xyxy, score = array[:, :4], array[:, 4]
    _check_boxes("Detections.xyxy", xyxy)
    _check_score("Detections.score", score)
    return Detections._trusted({"xyxy": xyxy, "score": score, "class_id": class_id, "embedding": None})


def _as_numbers(array: Array) -> FloatArray:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"as_detections: got {_short(array.tolist())}; expected rows of numbers") from None


def _hint(shape: tuple[int, ...]) -> str:
    """Returns what an array of a wrong shape probably is, and the remedy."""
    if len(shape) == 1 and shape[0] in (5, 6):
        return "; for a single box pass array[None]"
    if len(shape) == 3 and shape[0] == 1 and shape[2] in (5, 6):
        return "; this is a batch of one image: pass array[0]"
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return "; this looks like an image: update(detections, image) takes the detections first"
    if len(shape) != 2:
        return ""
    if shape[1] == 4:
        return "; add a column of scores"
    if shape[1] == 7:
        return "; leave out the column of track identities"
    return "; pass array.T" if shape[0] in (5, 6) else ""


def _class_ids(values: object) -> IntArray:
    array = _numpy(values)
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"class_id: got {_short(str(array.flat[0]))}; expected whole numbers") from None
    if array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
        raise ValueError(f"class_id: got {array.tolist()}; expected whole numbers")
    return array.astype(np.int64)


def _numpy(value: Any) -> Array:
    """Returns an array from an array, a list or a torch tensor on any device, without importing torch."""
    for step in ("detach", "cpu", "numpy"):
        if hasattr(value, step):
            value = getattr(value, step)()
            if step == "cpu" and str(getattr(value, "dtype", "")) == "torch.bfloat16":  # which NumPy does not have
                value = value.float()
    return np.asarray(value)


def _shape(rows: int, column: Column) -> tuple[int, ...]:
    return (rows,) if column.width is None else (rows, max(column.width, 0))


def _as_column(owner: str, name: str, value: object, *, column: Column) -> Array | None:
    """Returns a fresh array of the column's type and shape, or None when absent and that is allowed."""
    what = f"{owner}.{name}"
    if value is None:
        if column.optional or column.fill is not None:
            return None
        raise ValueError(f"{what}: got None; expected {_describe(column)}")
    try:
        array = _numpy(value)
        if array.size == 0:
            array = array.reshape(_shape(0, column)) if array.ndim == 1 else array
        whole = np.dtype(column.dtype).kind == "i"
        if whole and array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
            raise TypeError("a fraction")
        if np.dtype(column.dtype).kind == "b" and array.size and array.dtype.kind != "b":
            raise TypeError("no boolean")
        too_large = whole and array.size and array.dtype.kind in "fu" and array.max() >= exact_below(array.dtype)
        given, array = array, np.array(array, dtype=column.dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: got {_short(value)}; expected {_describe(column)}") from error
    if too_large:
        raise ValueError(
            f"{what}: got {given.max()} as {given.dtype}; expected whole numbers below {exact_below(given.dtype)}, "
            "above which neighbours become one; pass int64"
        )
    fits = array.ndim == 1 if column.width is None else array.ndim == 2 and column.width in (-1, array.shape[1])
    if not fits:
        raise ValueError(f"{what}: got shape {array.shape}; expected {_describe(column)}")
    return array


def exact_below(dtype: np.dtype[Any]) -> int:
    """Returns the whole number below which all those of a type stay themselves as int64.

    Args:
        dtype: of floating-point or unsigned numbers.
    """
    return 2 ** (np.finfo(dtype).nmant + 1) if dtype.kind == "f" else 2**63


def _describe(column: Column) -> str:
    shape = "(N,)" if column.width is None else f"(N, {'D' if column.width < 0 else column.width})"
    kind = {"i": "whole numbers", "b": "booleans", "U": "text"}.get(np.dtype(column.dtype).kind, "numbers")
    return f"{kind} of shape {shape}"


def _check_boxes(what: str, xyxy: FloatArray) -> None:
    # A NaN fails the comparison too, so one pass finds every fault; the reasons are sorted out only then.
    if not len(xyxy):
        return
    if all_true(np.abs(xyxy) <= _COORDINATE_LIMIT) and all_true(xyxy[:, 2:] >= xyxy[:, :2]):
        return
    finite = np.isfinite(xyxy).all(axis=1) & (np.abs(np.nan_to_num(xyxy)).max(axis=1) <= _COORDINATE_LIMIT)
    _check_rows(what, xyxy, ~finite, rule=f"finite pixels within {_COORDINATE_LIMIT:.0e}")
    _check_rows(what, xyxy, (xyxy[:, 2:] < xyxy[:, :2]).any(axis=1), rule="x1 <= x2 and y1 <= y2 (is it x, y, w, h?)")


def _check_score(what: str, score: FloatArray) -> None:
    valid = (score >= 0) & (score <= 1)
    if not all_true(valid):
        _check_rows(what, score, ~valid, rule="a score in [0, 1]")


def _check_unit(what: str, vectors: Array) -> None:
    norm = np.linalg.norm(vectors.astype(np.float64), axis=1)
    present = ~np.isnan(vectors).all(axis=1)
    _check_rows(
        f"{what} (length)", norm, present & ~(np.abs(norm - 1) <= _UNIT_TOLERANCE), rule="1; divide by the norm first"
    )


def _check_rows(what: str, values: Array, faulty: Any, *, rule: str) -> None:
    if faulty.any():
        row = int(np.flatnonzero(faulty)[0])
        raise ValueError(f"{what}: got {np.asarray(values[row]).tolist()} in row {row}; expected {rule}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _spell(lengths: dict[str, int]) -> str:
    return ", ".join(f"{name} {length}" for name, length in lengths.items())


def _cell(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{len(value)} numbers" if len(value) > 4 else ", ".join(f"{v:.1f}" for v in value)
    return f"{value:.3f}" if isinstance(value, np.floating) else str(value)

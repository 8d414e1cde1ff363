"""What the numbers of a detector mean: how each kind of network takes its image and gives its boxes. Pure functions.

A head reads `{name: array}`, the outputs for one image, into (N, 6) rows: corners in pixels of the network's input,
score, class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import Float32Array, FloatArray
from mot_reid.boxes import cxcywh_to_xyxy

Kind = Literal["yolox", "yolo", "rtdetr", "rfdetr"]
Size = tuple[int, int]
Outputs = Mapping[str, NDArray[Any]]

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_END_TO_END_COLUMNS = 6
_MOST_QUERIES = 1000  # of a transformer; grids of cells have more
# COCO numbers its 80 classes up to 90; these numbers are of no class.
_COCO_GAPS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_COCO_COLUMNS = 91


def yolo(output: FloatArray, min_score: float) -> Float32Array:
    """Returns the rows of a YOLO export: (4 + C, A) centres, sizes and class scores, or (N, 6) rows as they are.

    Args:
        output: of one image.
        min_score: scores above it are kept, of each cell the best class.
    """
    if output.shape[1] == _END_TO_END_COLUMNS:
        return np.asarray(output[output[:, 4] > min_score], dtype=np.float32)
    found = output[:, (output[4:].max(axis=0) > min_score)].T
    best = found[:, 4:].argmax(axis=1)
    return _rows(cxcywh_to_xyxy(found[:, :4]), found[np.arange(len(found)), 4 + best], best)


def yolox(output: FloatArray, min_score: float, size: Size) -> Float32Array:
    """Returns the rows of a YOLOX export, decoded (`--decode_in_inference`) or not.

    Args:
        output: (A, 5 + C): centre as an offset from the cell in units of its stride, logarithm of the size in the same
            units, objectness, class scores; decoded, centre and size are pixels.
        min_score: scores (objectness times class) above it are kept, of each cell the best class.
        size: height and width of the input.
    """
    cells, stride = _grid(size, len(output))
    score = output[:, 4] * output[:, 5:].max(axis=1)
    kept = score > min_score
    found = output[kept]
    centre, side = found[:, :2], found[:, 2:4]
    if np.median(output[:, 0]) < min(_STRIDES[0]):  # decoded, half of the cells lie right of the middle
        centre, side = (centre + cells[kept]) * stride[kept], np.exp(side) * stride[kept]
    return _rows(cxcywh_to_xyxy(np.hstack((centre, side))), score[kept], found[:, 5:].argmax(axis=1))


def detr(boxes: FloatArray, scores: FloatArray, min_score: float, size: Size) -> Float32Array:
    """Returns the rows of a transformer's queries, one for each class that scores above the floor.

    Args:
        boxes: (Q, 4) centre and size as fractions of the image.
        scores: (Q, C); of COCO's 91 columns the numbers become the usual 80, in which 0 is a person.
        min_score: of a row.
        size: height and width of the input.
    """
    if scores.shape[1] == _COCO_COLUMNS:
        scores = np.delete(scores, _COCO_GAPS, axis=1)
    query, number = np.nonzero(scores > min_score)
    return _rows(cxcywh_to_xyxy(boxes[query]) * (size[::-1] * 2), scores[query, number], number)


def _yolo(outputs: Outputs, min_score: float, size: Size) -> Float32Array:
    return yolo(_only(outputs), min_score)


def _yolox(outputs: Outputs, min_score: float, size: Size) -> Float32Array:
    return yolox(_only(outputs), min_score, size)


def _rtdetr(outputs: Outputs, min_score: float, size: Size) -> Float32Array:
    """Three layouts: the authors' labels, boxes and scores; logits and boxes; Ultralytics' boxes next to scores."""
    if len(outputs) == 1:
        rows = _only(outputs)
        return detr(rows[:, :4], rows[:, 4:], min_score, size)
    if len(outputs) == 2:
        return _queries(outputs, min_score, size)
    found = {name: array[0] for name, array in outputs.items()}
    kept = found["scores"] > min_score
    return _rows(found["boxes"][kept], found["scores"][kept], found["labels"][kept])


def _queries(outputs: Outputs, min_score: float, size: Size) -> Float32Array:
    boxes, logits = sorted((array[0] for array in outputs.values()), key=lambda array: array.shape[1] != 4)
    return detr(boxes, 1 / (1 + np.exp(-logits.astype(np.float64))), min_score, size)


def _only(outputs: Outputs) -> NDArray[Any]:
    return next(iter(outputs.values()))[0]  # type: ignore[no-any-return]


def _rows(xyxy: FloatArray, score: FloatArray, class_id: NDArray[Any]) -> Float32Array:
    return np.column_stack((xyxy, np.clip(score, 0, 1), class_id)).astype(np.float32)


@lru_cache(8)
def _grid(size: Size, count: int) -> tuple[FloatArray, FloatArray]:
    """Returns the (A, 2) column and row of each cell, and its (A, 1) stride."""
    strides = next(strides for strides in _STRIDES if _cells(size, strides) == count)
    cells, widths = [], []
    for stride in strides:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.column_stack((x.ravel(), y.ravel())))
        widths.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(widths).astype(np.float32)


def _cells(size: Size, strides: tuple[int, ...]) -> int:
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


@dataclass(frozen=True, slots=True)
class Head:
    """How a kind of network takes its image and gives its boxes.

    Attributes:
        fit: how the image is fitted into the input: in the `middle` of grey, in its `corner`, or `stretch`.
        rgb: whether colours come as RGB instead of BGR.
        divisor: what bytes are divided by.
        mean: subtracted from each colour after that.
        deviation: what each is divided by in the end.
        outputs: what its outputs look like, in words.
        read: `(outputs, min_score, size) -> rows`.
    """

    fit: Literal["middle", "corner", "stretch"]
    outputs: str
    read: Callable[[Outputs, float, Size], Float32Array]
    rgb: bool = True
    divisor: float = 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)


HEADS: dict[Kind, Head] = {
    "yolox": Head("corner", "(1, cells, 5 + classes) with cells of strides 8, 16, 32", _yolox, rgb=False, divisor=1.0),
    "yolo": Head("middle", "(1, 4 + classes, cells) or (1, N, 6)", _yolo),
    "rtdetr": Head(
        "stretch", "labels, boxes and scores, or (1, N, 4) and (1, N, classes), or (1, N, 4 + classes)", _rtdetr
    ),
    "rfdetr": Head(
        "stretch", "dets (1, N, 4) and labels (1, N, classes)", _queries,
        mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225),
    ),
}  # fmt: skip


def kinds(outputs: Mapping[str, tuple[int, ...]], size: Size) -> list[Kind]:
    """Returns the kinds that a network may be of, the likeliest first.

    Args:
        outputs: shapes by name.
        size: height and width of the input.
    """
    shapes = list(outputs.values())
    if len(shapes) == 1 and len(shapes[0]) == 3:
        return _of_one(*shapes[0][1:], counts={_cells(size, strides) for strides in _STRIDES})
    if len(shapes) == 2 and all(len(shape) == 3 for shape in shapes) and 4 in (shape[2] for shape in shapes):
        found: list[Kind] = ["rfdetr", "rtdetr"]
        return found if "dets" in outputs else found[::-1]
    return ["rtdetr"] if set(outputs) == {"labels", "boxes", "scores"} else []


def _of_one(rows: int, columns: int, *, counts: set[int]) -> list[Kind]:
    found: list[Kind] = []
    if rows in counts and columns > 5:
        found.append("yolox")
    if columns == _END_TO_END_COLUMNS or (columns in counts and rows > 4):
        found.append("yolo")
    if rows <= _MOST_QUERIES and columns > 4 and columns not in counts:
        found.append("rtdetr")
    return found

"""A network exported for squares, made one for rectangles: no arithmetic is spent on the grey around the image.

An export of one size holds, as constants, where the cells of its output lie (the anchors) and how large they are (the
strides). All else follows from the input's shape, so with these two written anew the network takes another shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array


def fitting(width: int, height: int, *, size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Returns height and width of the smallest input that an image needs at the scale it has within `size`.

    Args:
        width: of the image.
        height: of the image.
        size: height and width of the full input.
        stride: the result is made of multiples of it.

    Reference:
        Ultralytics' LetterBox with auto=True, which is what it does for `.pt` files.
    """
    scale = min(size[0] / height, size[1] / width)
    tall, wide = (max(round(side * scale), 1) for side in (height, width))
    return math.ceil(tall / stride) * stride, math.ceil(wide / stride) * stride


def strides_of(model: Any, size: tuple[int, int]) -> list[int]:
    """Returns the strides of the levels of a YOLO head, or none where its constants are not of the known kind.

    Args:
        model: OpenVINO's, with one output (1, C, A).
        size: height and width of its input.
    """
    cells = model.outputs[0].get_partial_shape()[-1].get_length()
    for rows, _ in _constants(model, cells):
        if len(rows) == 1:
            strides = [int(value) for value in dict.fromkeys(rows[0].tolist()) if value >= 1]
            if _is_head(model, size, strides):
                return strides
    return []


def reshaped(model: Any, *, size: tuple[int, int], new: tuple[int, int], strides: list[int]) -> Any:
    """Returns a copy of a network that takes images of another size.

    Args:
        model: OpenVINO's.
        size: height and width of its input.
        new: height and width wanted, multiples of the largest stride.
        strides: what `strides_of` found.

    Raises:
        RuntimeError: OpenVINO finds another part that is made for the old size.
    """
    from openvino import opset13

    model = model.clone()
    before, after = _head(size, strides), _head(new, strides)
    found = _constants(model, before[0].shape[1])
    # A constant that does not fit its neighbours is refused at once, so for the moment any size must do.
    model.reshape([1, 3, -1, -1])
    for rows, node in found:
        for old, fresh in zip(before, after):
            if np.array_equal(rows, old):
                shape = [*list(node.get_output_shape(0))[:-1], fresh.shape[1]]
                constant = opset13.constant(fresh.reshape(shape), dtype=node.get_element_type())
                node.output(0).replace(constant.output(0))
    model.reshape([1, 3, *new])
    return model


def _is_head(model: Any, size: tuple[int, int], strides: list[int]) -> bool:
    """Returns whether the constants of a head with these strides are all there."""
    if not strides or any(side % stride for side in size for stride in strides):
        return False
    wanted = _head(size, strides)
    found = [rows for rows, _ in _constants(model, wanted[0].shape[1])]
    return all(any(np.array_equal(rows, part) for rows in found) for part in wanted)


def _head(size: tuple[int, int], strides: list[int]) -> tuple[Float32Array, Float32Array]:
    """Returns the (2, A) centres of the cells in units of their stride, and the (1, A) strides."""
    centres, widths = [], []
    for stride in strides:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        centres.append(np.stack((x.ravel(), y.ravel())) + 0.5)
        widths.append(np.full((1, x.size), stride))
    return np.concatenate(centres, axis=1).astype(np.float32), np.concatenate(widths, axis=1).astype(np.float32)


def _constants(model: Any, cells: int) -> list[tuple[Float32Array, Any]]:
    """Returns the constants with a column for each of the cells, as (k, cells) rows, and their nodes."""
    nodes = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    return [
        (node.data.reshape(-1, cells).astype(np.float32), node)
        for node in nodes
        if list(node.get_output_shape(0))[-1:] == [cells]
    ]

"""Which class was taken for which: the table, and shares of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mot_reid.arrays import IntArray


def confusion(truth: IntArray, found: IntArray, *, classes: int) -> IntArray:
    """Returns the (C, C) counts of each true class (rows) that was taken for each class (columns).

    Args:
        truth: (N,) classes from 0.
        found: (N,) the same as they were found.
        classes: C.
    """
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, found), 1)
    return table


def accuracy(table: IntArray) -> float:
    """Returns the share that is right, from 0 to 1; NaN of an empty table."""
    total = int(table.sum())
    return float(np.trace(table)) / total if total else float("nan")


def balanced_accuracy(table: IntArray) -> float:
    """Returns the mean over the classes of the share that is right; classes that never occur do not count."""
    each = table.sum(axis=1)
    there = each > 0
    return float((np.diag(table)[there] / each[there]).mean()) if there.any() else float("nan")


def as_text(table: IntArray, names: Sequence[str]) -> str:
    """Returns a table as lines for people: a row for each true class, its share of right answers at the end.

    Args:
        table: (C, C).
        names: Of the classes.
    """
    wide = max(map(len, (*names, "true / found")))
    cell = max(7, *(len(name) + 1 for name in names))
    lines = [f"{'true / found':<{wide}}" + "".join(f"{name:>{cell}}" for name in names) + f"{'right':>9}"]
    for name, row, right in zip(names, table, np.diag(table)):
        share = f"{100 * right / row.sum():8.1f}%" if row.sum() else f"{'':9}"
        lines.append(f"{name:<{wide}}" + "".join(f"{count:>{cell}}" for count in row) + share)
    return "\n".join(lines)

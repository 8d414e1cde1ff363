"""Which name was meant? The end of a sentence that refuses a name, the same in every room."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def did_you_mean(name: str, names: Collection[str], *, most: int = 1) -> str:
    """Returns the end of a sentence that offers the nearest of `names`, or nothing where none is near.

    A dotted name such as `lr` is also found by its last part, as in `optim.lr`.

    Args:
        name: what was given.
        names: what would have been right.
        most: how many names are offered at most.

    Returns:
        `; did you mean 'optim.lr'?`, or an empty text.
    """
    tail = [known for known in names if known.rpartition(".")[2] == name.rpartition(".")[2]]
    near = tail if len(tail) == 1 else get_close_matches(name, list(names), n=most, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(known) for known in near)}?" if near else ""

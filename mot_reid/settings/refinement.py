"""The names of what offline refinement can do, in the order in which it is done."""

from __future__ import annotations

PARTS = ("split", "join_motion", "join_appearance", "fill_linear", "fill_gaussian", "smooth")
NEED_EMBEDDING = ("split", "join_appearance")
"""Parts that compare looks."""
RECOMMENDED = ("fill_linear", "smooth")
"""What "recommended" stands for; how it was chosen is in the lab book, `experiments/LOG.md`."""

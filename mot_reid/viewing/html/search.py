"""The page of a search: each query, and what looks most like it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mot_reid.viewing.crops import Example
from mot_reid.viewing.html.examples import rank_lists_html
from mot_reid.viewing.html.page import Section, page_html


def search_html(examples: Sequence[Example], *, model: str, threshold: float | None) -> Markup:
    """Returns a whole page that needs no other file.

    Args:
        examples: queries and their answers, without average precision.
        model: what gave the similarities.
        threshold: the similarity from which two crops show the same person; None where nobody knows.
    """
    count = "1 query" if len(examples) == 1 else f"{len(examples):,} queries"
    if threshold is None:
        subtitle = f"{count} · {model}, which has no calibrated threshold"
    else:
        subtitle = f"{count} · {model} · ✓ similarity of at least {threshold:.3f}: the same person"
    sections = [Section("answers", "Answers", rank_lists_html(examples))]
    return page_html("Search", heading="Search", subtitle=subtitle, sections=sections)

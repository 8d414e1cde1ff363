"""Finds a person among crops: `mot-reid search query=a.jpg gallery=FOLDER`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by, write_json, write_text
from mot_reid.settings.embedding import SearchSettings

if TYPE_CHECKING:
    from mot_reid.evaluation.search_files import Answers

COMMAND = Command(
    "search",
    SearchSettings,
    usage="query=IMAGE gallery=FOLDER|FILE.npz [report=FILE.html] [key=value ...]",
    about="""
Ranks the crops of a gallery by their similarity to a query, without a server. A mark says which answers reach the
model's calibrated threshold, from which two crops show the same person.""",
    examples=(
        "query=a.jpg gallery=crops",
        "query=a.jpg gallery=embeddings.npz count=20 report=ranks.html",
        "query=a.jpg,b.jpg gallery=crops json=ranks.json",
    ),
)
log = logging.getLogger("search")


def main(argv: Sequence[str]) -> int:
    """Searches for each query; returns the exit code."""
    return COMMAND.run(_search, argv)


def _search(settings: SearchSettings, given: Given) -> None:
    """Prints the answers, and writes what was asked for."""
    check_output("report", settings.report)
    check_output("json", settings.json)
    from mot_reid.data.image_files import find_images

    queries = find_images(settings.query, what="query")
    from mot_reid.evaluation.search_files import read_gallery, search
    from mot_reid.reid import checkpoint
    from mot_reid.reid.embedder import Embedder
    from mot_reid.settings.tracker_parameters import SEARCH_MODEL

    model = checkpoint.find(settings.checkpoint or SEARCH_MODEL)
    with given_by("checkpoint"):
        embedder = Embedder(model, device=settings.device, batch_size=settings.batch_size)
    gallery = read_gallery(settings.gallery, embedder, model=model)
    found = search(queries, gallery, embedder, count=settings.count)
    for answers in found:
        print(_table(answers, embedder.threshold))
    if settings.json is not None:
        content = {"model": gallery.model, "threshold": embedder.threshold, "queries": [one.to_dict() for one in found]}
        print(f"answers  {write_json(settings.json, content)}")
    if settings.report is not None:
        print(f"report   {write_text(settings.report, _page(found, model.stem, embedder.threshold))}")


def _table(answers: Answers, threshold: float | None) -> str:
    """Returns a line for each answer."""
    word = "no calibrated threshold" if threshold is None else f"* from {threshold:.3f} on: the same person"
    lines = [f"{answers.query}   ({word})"]
    for place, (path, similarity) in enumerate(zip(answers.path, answers.similarity)):
        mark = "*" if answers.same is not None and answers.same[place] else " "
        lines.append(f"{place + 1:4} {similarity:7.3f} {mark} {path}")
    return "\n".join(lines)


def _page(found: Sequence[Answers], model: str, threshold: float | None) -> str:
    """Returns a page with the pictures in their order."""
    from mot_reid.data.images import decode
    from mot_reid.viewing.crops import Crop, Example
    from mot_reid.viewing.html.search import search_html

    examples = []
    for one in found:
        crops = []
        for place, (path, similarity) in enumerate(zip(one.path, one.similarity)):
            status = "answer" if one.same is None else "match" if one.same[place] else "ignored"
            crops.append(
                Crop(decode(path), caption=Path(path).name, status=status, rank=place + 1, similarity=similarity)
            )
        examples.append(Example(Crop(decode(one.query), caption=Path(one.query).name), crops, None))
    return search_html(examples, model=model, threshold=threshold)

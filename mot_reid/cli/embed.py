"""Embeds pictures of people: `mot-reid embed source=FOLDER output=embeddings.npz`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by
from mot_reid.settings.embedding import EmbedSettings

COMMAND = Command(
    "embed",
    EmbedSettings,
    usage="source=FOLDER output=FILE.npz [checkpoint=PATH|NAME] [key=value ...]",
    about="""
Embeds crops of people, one row of unit length for each image, so that a dot product of two rows is their similarity.
The file holds path (N,), embedding (N, D) and the model's checksum; numpy.load opens it, and so does
mot-reid search.""",
    examples=(
        "source=crops output=embeddings.npz",
        "source=crops/*.jpg output=embeddings.npz checkpoint=runs/quickstart/model.safetensors",
    ),
)
log = logging.getLogger("embed")


def main(argv: Sequence[str]) -> int:
    """Embeds image files; returns the exit code."""
    return COMMAND.run(_embed, argv, interrupted="interrupted: nothing was written")


def _embed(settings: EmbedSettings, given: Given) -> None:
    """Embeds every image and writes the file."""
    from mot_reid.evaluation.embedding_file import EmbeddingFile, check_ending

    check_ending(settings.output)
    check_output("output", settings.output)
    from mot_reid.data.image_files import find_images

    paths = find_images(settings.source, what="source")
    from mot_reid.evaluation.embed_files import embed_crops
    from mot_reid.reid import checkpoint
    from mot_reid.reid.embedder import Embedder
    from mot_reid.settings.tracker_parameters import SEARCH_MODEL

    model = checkpoint.find(settings.checkpoint or SEARCH_MODEL)
    with given_by("checkpoint"):
        embedder = Embedder(model, device=settings.device, batch_size=settings.batch_size)
    log.info("embedding %s image%s with %s ..", f"{len(paths):,}", "" if len(paths) == 1 else "s", model.stem)
    found = EmbeddingFile(paths, embed_crops(embedder, paths), checkpoint.identify(model))
    print(
        f"{found.save(settings.output)}: {found.embedding.shape[0]:,} embeddings of {found.embedding.shape[1]} numbers"
    )

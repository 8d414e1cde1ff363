"""Publishes a model on the Hugging Face Hub: `mot-reid publish checkpoint=PATH repo=user/name`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by, write_text
from mot_reid.settings.load import ConfigError
from mot_reid.settings.publication import PublishSettings

COMMAND = Command(
    "publish",
    PublishSettings,
    usage="checkpoint=PATH|NAME repo=user/name [scores=FILE] [card=FILE] [private=false]",
    about="""
Uploads a model with a card (scores, threshold, origin, licence) to the Hugging Face Hub, from which
Embedder("hf://user/name") takes it. Log in before with: hf auth login.""",
    examples=(
        "checkpoint=runs/quickstart/model.safetensors repo=user/name card=README_of_the_model.md",
        "checkpoint=runs/quickstart/model.safetensors repo=user/name scores=scores.json private=false",
    ),
)


def main(argv: Sequence[str]) -> int:
    """Publishes one model, or writes its card; returns the exit code."""
    return COMMAND.run(_publish, argv)


def _publish(settings: PublishSettings, given: Given) -> None:
    """Checks the model by loading it, and uploads it."""
    check_output("card", settings.card)
    scores = _read_scores(settings.scores)
    from mot_reid.reid import checkpoint, hub

    model = checkpoint.find(settings.checkpoint)
    if model.suffix != ".safetensors":
        raise ConfigError(
            f"command line: checkpoint: got '{model}'; expected a .safetensors file; write one with mot-reid export"
        )
    with given_by("checkpoint"):
        metadata = checkpoint.load(model).metadata  # which tests itself
    card = hub.card_of(metadata, settings.repo, scores=scores)
    if settings.card is not None:
        print(f"card     {write_text(settings.card, card)}; nothing was uploaded")
        return
    print(f"published {hub.publish(model, settings.repo, card=card, private=settings.private)}")


def _read_scores(path: str | None) -> dict[str, Any] | None:
    """Returns the content of a file of scores."""
    if path is None:
        return None
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"command line: scores: got '{path}'; expected an existing file") from None
    except ValueError:
        content = None
    if not isinstance(content, dict) or "rank1" not in content:
        raise ConfigError(f"command line: scores: got '{path}'; expected a file that mot-reid evaluate json= wrote")
    return content

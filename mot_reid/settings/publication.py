"""The keys of `mot-reid publish`: types, rules and meanings; the values are in `configs/publish.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """Which model goes where."""

    checkpoint: Annotated[str, "a model.safetensors, or the name of a bundled model"]
    repo: Annotated[str, "repository on the Hugging Face Hub: user/name"]
    scores: Annotated[
        str | None, "scores for the card, with intervals: the file of mot-reid evaluate json=; null: those of training"
    ]
    card: Annotated[str | None, "file for the card alone, to read before anything is uploaded; null: upload"]
    private: Annotated[bool, "make a private repository"]

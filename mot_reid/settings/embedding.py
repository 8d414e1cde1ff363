"""The keys of `mot-reid embed` and `mot-reid search`: types, rules and meanings.

The values are in `configs/embed.yaml` and `configs/search.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import COMMAS, Count

_CHECKPOINT = (
    "a model.safetensors, a Lightning .ckpt, a model.onnx, or the name of a bundled model; null: the bundled one "
    "for several cameras"
)
_DEVICE = "auto, cpu, cuda, cuda:1 or mps"
_BATCH = "crops that go through the network at once"


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """Which pictures are embedded, and by what."""

    source: Annotated[
        tuple[str, ...],
        COMMAS,
        "a folder of crops (those in its folders too), an image file, a pattern such as crops/*.jpg, or several",
    ]
    output: Annotated[str, "file for paths and embeddings: .npz, which NumPy opens"]
    checkpoint: Annotated[str | None, _CHECKPOINT]
    device: Annotated[str, _DEVICE]
    batch_size: Annotated[int, Count, _BATCH]


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Who is looked for, among whom."""

    query: Annotated[
        tuple[str, ...], COMMAS, "the crop to look for: an image file; or several, a folder of crops or a pattern"
    ]
    gallery: Annotated[str, "where to look: a folder of crops, or the .npz file that mot-reid embed wrote"]
    checkpoint: Annotated[str | None, _CHECKPOINT]
    count: Annotated[int, Count, "answers to each query"]
    report: Annotated[str | None, "file for a page that shows each query and its answers in their order: .html"]
    json: Annotated[str | None, "file for the answers: paths, similarities, and whether each reaches the threshold"]
    device: Annotated[str, _DEVICE]
    batch_size: Annotated[int, Count, _BATCH]

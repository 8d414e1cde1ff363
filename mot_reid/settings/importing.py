"""The keys of `mot-reid import`: types, rules and meanings; the values are in `configs/import.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import Between, Count, OneOf


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """Whose weights become a model of ours, and what they do not say themselves."""

    source: Annotated[str, "file of weights: .pth, .pt, .tar, .bin or .safetensors; nothing in it is run"]
    kind: Annotated[str, OneOf(("torchreid", "fastreid", "boxmot", "timm")), "the library that wrote it"]
    output: Annotated[str, "model.safetensors to write"]
    backbone: Annotated[
        str | None, "name in timm, for kind=timm; null: recognised by the names and shapes of its tensors"
    ]
    height: Annotated[int | None, Count, "height of the network's input in pixels; null: that of the library"]
    width: Annotated[int | None, Count, "width of the network's input in pixels; null: that of the library"]
    pooling: Annotated[
        str | None,
        OneOf(("avg", "gem", "token")),
        "pooling before the embedding; null: gem where the file has its exponent, token for a ViT, else avg",
    ]
    last_stride: Annotated[
        int | None,
        Between(1, 2),
        "stride of a ResNet's last stage; null: that of the library's own configurations",
    ]
    licence: Annotated[str | None, "terms of use of the weights, one sentence; null: unknown"]

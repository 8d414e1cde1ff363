"""What may run a Re-ID model: one key of every command that embeds the people of videos."""

from __future__ import annotations

from typing import Annotated

from mot_reid.settings.schema import OneOf

RUNTIMES = ("torch", "onnx", "openvino", "auto", "fastest")

Runtime = Annotated[
    str,
    OneOf(RUNTIMES),
    "what runs the Re-ID model on a CPU: torch; onnx or openvino, for which it is exported at the first time; "
    "auto: ONNX Runtime if it is installed, else OpenVINO, else torch; fastest: what takes the least time of those "
    "that are installed",
]

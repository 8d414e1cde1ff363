"""Train person re-identification models and track people with them.

The public names are resolved on first use, so `import mot_reid` loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mot_reid.version import __version__ as __version__

if TYPE_CHECKING:
    from mot_reid.detection.onnx import OnnxDetector as OnnxDetector
    from mot_reid.detection.yolo import YoloDetector as YoloDetector
    from mot_reid.linking.link import link as link
    from mot_reid.metrics.mot import evaluate_mot as evaluate_mot
    from mot_reid.metrics.retrieval import evaluate_retrieval as evaluate_retrieval
    from mot_reid.pipeline.track import track as track
    from mot_reid.refinement.refine import refine as refine
    from mot_reid.reid.embedder import Embedder as Embedder
    from mot_reid.structures import Detections as Detections
    from mot_reid.structures import Tracks as Tracks
    from mot_reid.structures import TrackTable as TrackTable
    from mot_reid.tracking.tracker import Tracker as Tracker
    from mot_reid.training.experiment import fit as fit

_HOME = {
    "Detections": "mot_reid.structures",
    "Embedder": "mot_reid.reid.embedder",
    "OnnxDetector": "mot_reid.detection.onnx",
    "TrackTable": "mot_reid.structures",
    "Tracker": "mot_reid.tracking.tracker",
    "Tracks": "mot_reid.structures",
    "YoloDetector": "mot_reid.detection.yolo",
    "evaluate_mot": "mot_reid.metrics.mot",
    "evaluate_retrieval": "mot_reid.metrics.retrieval",
    "fit": "mot_reid.training.experiment",
    "link": "mot_reid.linking.link",
    "refine": "mot_reid.refinement.refine",
    "track": "mot_reid.pipeline.track",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Returns a public name, importing its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'mot_reid' has no attribute '{name}'; the public names are: {', '.join(_HOME)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Lists the public names and the module's own."""
    return sorted({*globals(), *_HOME})

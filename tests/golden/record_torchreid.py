"""Records what torchreid's own networks make of drawn weights and inputs, as torchreid.npz.

Needs the sources of torchreid 0.2.5 (`pip download --no-deps torchreid`, unpacked), since its package needs much more:

    python -m tests.golden.record_torchreid PATH/torchreid-0.2.5/torchreid/reid/models
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.helpers.drawn_weights import draw_inputs, draw_weights

SIZE = (128, 64)
NETWORKS = {"osnet_x0_25": "osnet", "osnet_x0_5": "osnet", "resnet50": "resnet", "resnet50_fc512": "resnet"}


def main(folder: Path) -> None:
    recorded: dict[str, Any] = {}
    for name, module in NETWORKS.items():
        spec = importlib.util.spec_from_file_location(module, folder / f"{module}.py")
        assert spec is not None and spec.loader is not None
        models = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(models)
        network = getattr(models, name)(num_classes=5, pretrained=False, loss="softmax").eval()
        shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        network.load_state_dict(draw_weights(shapes, seed=0))
        with torch.inference_mode():
            recorded[f"{name}.embedding"] = network(draw_inputs(4, SIZE, seed=1)).numpy()
        recorded[f"{name}.shapes"] = np.array(json.dumps(shapes))
    np.savez_compressed(Path(__file__).parent / "torchreid.npz", **recorded)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

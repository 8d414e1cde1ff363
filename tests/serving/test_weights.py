"""Which weights a server loads without being told that they are trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mot_reid.serving.weights import check_weights


@pytest.mark.parametrize(
    "name", ["x.pt", "X.PT", "x.pth", "x.pkl", "x.torchscript", "x.engine", "x_saved_model", "x.onnx.pt"]
)
def test_weights_that_can_run_code_are_refused_unless_trusted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.mkdir() if name.endswith("model") else path.write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"detector\.weights: got .* can run code .* or set pickled_weights=true"
    ) as caught:
        check_weights(str(path), pickled=False)
    assert str(tmp_path) not in str(caught.value)
    check_weights(str(path), pickled=True)


def test_weights_that_are_numbers_are_taken(tmp_path: Path) -> None:
    (tmp_path / "yolo_openvino_model").mkdir()
    (tmp_path / "yolo_openvino_model" / "yolo.xml").write_text("<net/>")
    for weights in (None, str(tmp_path / "x.onnx"), str(tmp_path / "yolo_openvino_model"), str(tmp_path / "nothing")):
        check_weights(weights, pickled=False)


def test_pickle_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A file that would make a folder when it is read; the server does not start, and the folder is not there."""
    import os
    import pickle

    from tests.serving.test_service import build

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "evil"),)

    (tmp_path / "x.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="can run code"):
        build(tmp_path / "served", tracking=(f"detector.weights={tmp_path / 'x.pt'}",))
    assert not (tmp_path / "evil").exists() and not (tmp_path / "served").exists()

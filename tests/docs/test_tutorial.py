"""The tutorial runs from the first cell to the last, and is stored with what it printed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest

from mot_reid.settings.load import ROOT
from tests.helpers.commands import missing_names

PATH = ROOT / "docs" / "tutorial.ipynb"
CELLS: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_cells_are_stored_with_their_outputs() -> None:
    pictures = [sum("image/png" in output.get("data", {}) for output in cell["outputs"]) for cell in CODE]
    assert pictures == [source(cell).count("plt.show()") for cell in CODE]
    assert [
        cell["id"]
        for cell in CODE
        for output in cell["outputs"]
        if output["output_type"] in ("error", "stream") and output.get("name") != "stdout"
    ] == []
    assert not [
        place
        for place in ("/home/", "/work/", "/tmp/", "/Users/")
        if place in json.dumps([cell["outputs"] for cell in CODE])
    ]


def test_cells_compile() -> None:
    for cell in CODE:
        compile(source(cell), cell["id"], "exec")


def test_names_of_ours_are_there() -> None:
    """The slow test below runs the cells; this one tells at once when something they use was renamed."""
    for cell in CODE:
        assert missing_names(source(cell)) == []


def test_tutorial_goes_from_tracks_to_a_model_of_ones_own() -> None:
    text = "".join(map(source, CELLS))
    steps = ['Tracker("bytetrack_reid"', "## 2. A timeline", "fit(config)", "Embedder(result.model", "reid=embedder"]
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)


@pytest.mark.slow
def test_every_cell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("nbclient") is None or find_spec("ipykernel") is None:
        pytest.skip('nbclient is not installed; pip install -e ".[docs]"')
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(PATH, as_version=4)
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    assert not [output for output in outputs if output.output_type == "error"]

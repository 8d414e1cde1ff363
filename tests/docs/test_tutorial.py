"""The tutorial runs from the first cell to the last, and is stored without what it printed."""

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


def test_cells_are_stored_without_their_outputs() -> None:
    assert [cell["id"] for cell in CODE if cell["outputs"] or cell["execution_count"] is not None] == []


def test_cells_compile() -> None:
    for cell in CODE:
        compile("".join(cell["source"]), cell["id"], "exec")


def test_names_of_ours_are_there() -> None:
    """The slow test below runs the cells; this one tells at once when something they use was renamed."""
    for cell in CODE:
        assert missing_names("".join(cell["source"])) == []


def test_tutorial_goes_from_fit_to_a_timeline() -> None:
    text = "".join("".join(cell["source"]) for cell in CELLS)
    steps = ["fit(config)", "Embedder(result.model", 'Tracker("bytetrack_reid", reid=embedder', "## 5. A timeline"]
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

"""The guides as a whole: links lead somewhere, parameters have pictures, tables agree with the code, and it builds."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import mot_reid
from mot_reid import Tracker
from mot_reid.metrics.mot_events import CAUSES
from mot_reid.settings.load import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as Python-Markdown makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", word) for word in words}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_within_the_guides_lead_somewhere(path: Path) -> None:
    broken = []
    for target in LINK.findall(prose(path)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        if not page.is_file() or (anchor and anchor not in anchors(page)):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_navigation() -> None:
    names = re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(names) == [path.name for path in PAGES]


# The tracking guide


def parameters() -> list[str]:
    parameters = inspect.signature(Tracker).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]


def test_tracking_guide_has_every_parameter_with_its_picture() -> None:
    guide = (DOCS / "tracking.md").read_text(encoding="utf-8")
    told = re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", guide, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in told] == parameters()
    assert [name for name, text in told if f"(pictures/{name}.png)" not in text] == []


def test_pictures_are_those_that_the_script_draws() -> None:
    from docs.pictures.draw import PICTURES

    assert {path.stem for path in (DOCS / "pictures").glob("*.png")} == {
        *PICTURES,
        "frame",
        "demo",
    }  # the last is a screenshot


def test_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "pictures").iterdir() if path.is_file()) < 1_500_000


def test_script_draws_a_picture_in_which_the_parameter_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from docs.pictures import draw

    monkeypatch.setattr(draw, "FOLDER", tmp_path)
    short, long = (draw.track(draw.scene("street"), {"max_missed": missed}).table for missed in (1, 60))
    assert max(short.track_id) > max(long.track_id)
    assert draw.draw("max_missed").stat().st_size > 5000


# The other guides


def test_evaluation_guide_explains_every_cause_of_a_switch() -> None:
    guide = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    table = guide.partition("| cause |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([\w ]+?) \|", table, re.MULTILINE) == list(CAUSES)


def test_reference_has_every_public_name() -> None:
    named = re.findall(r"^::: ([\w.]+)", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {f"{home}.{name}" for name, home in mot_reid._HOME.items()} <= set(named)


def test_table_of_rooms_is_that_of_the_imports() -> None:
    from tests.test_architecture import TABLE

    guide = (DOCS / "building.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", guide, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows}
    if ("cli", "every other room") in rows:
        told["cli"] = TABLE.keys() - {"cli"}
    assert told == {name: set(room.package) for name, room in TABLE.items()}


def test_configuration_of_the_site_names_the_rules_that_make_links_strict() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    rules = yaml.safe_load(text)["validation"]
    assert {*rules["nav"].values(), *rules["links"].values()} == {"warn"}


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip('mkdocs is not installed; pip install -e ".[docs]"')
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    assert all(
        f"mot_reid.{home.removeprefix('mot_reid.')}.{name}" in reference for name, home in mot_reid._HOME.items()
    )

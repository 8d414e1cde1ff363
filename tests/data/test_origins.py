"""Where crops come from, by what lies with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mot_reid.data.origins import MARKET1501, SYNTHETIC, find_origins


def crops(folder: Path, *names: str) -> list[str]:
    return [str(folder / name) for name in names]


def mark(folder: Path, file: str, content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(content))
    return folder


def test_crops_of_sequences_are_no_market1501_though_laid_out_like_it(tmp_path: Path) -> None:
    """Caught: the layout's name as the origin."""
    root = mark(
        tmp_path / "a", "metadata.json", {"format": "mot_reid.crops", "sequences": {"MOT17-02": {}, "PETS": {}}}
    )
    (origin,) = find_origins(crops(root, "bounding_box_train/0001_c1s1_000001_00.jpg"), kind="market1501")
    assert origin.name == "crops of MOT17-02, PETS"
    assert origin.licence == "that of the videos its crops were cut from: MOT17-02, PETS"


@pytest.mark.parametrize("kind", ["market1501", "csv", "folders"])
def test_prepared_market1501_is_known_in_every_layout(kind: str, tmp_path: Path) -> None:
    root = mark(tmp_path / "a", "metadata.json", {"format": "mot_reid.market1501"})
    assert find_origins(crops(root, "bounding_box_train/0001_c1s1_000001_00.jpg"), kind=kind) == [MARKET1501]


def test_unpacked_archive_is_known_by_its_name_or_its_numbers(tmp_path: Path) -> None:
    inside = crops(tmp_path / "Market-1501-v15.09.15", "bounding_box_train/0001_c1s1_000001_00.jpg")
    assert find_origins(inside, kind="folders") == [MARKET1501]
    renamed = crops(tmp_path / "market", "bounding_box_train/0001_c1s1_000001_00.jpg")
    assert find_origins(renamed, kind="market1501", official=True) == [MARKET1501]


def test_drawn_people_are_known_in_every_layout(tmp_path: Path) -> None:
    root = mark(tmp_path / "a", "synthetic.json", {})
    assert find_origins(crops(root, "bounding_box_train/1_c1s1_1_1.jpg"), kind="market1501") == [SYNTHETIC]
    assert find_origins([], kind="synthetic") == [SYNTHETIC]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("market1501", "own data in the layout of Market-1501"),
        ("folders", "own data (folders)"),
        ("csv", "own data (csv)"),
    ],
)
def test_other_data_are_the_users_own(kind: str, name: str, tmp_path: Path) -> None:
    (origin,) = find_origins(crops(tmp_path, "anna/1.jpg", "ben/1.jpg"), kind=kind)
    assert (origin.name, origin.licence) == (name, "that of the data it was trained on")


def test_a_table_of_crops_from_several_places_names_each(tmp_path: Path) -> None:
    drawn = mark(tmp_path / "drawn", "synthetic.json", {})
    market = mark(tmp_path / "market", "metadata.json", {"format": "mot_reid.market1501"})
    found = find_origins(crops(drawn, "train/1.jpg") + crops(market, "train/1.jpg", "train/2.jpg"), kind="csv")
    assert found == [SYNTHETIC, MARKET1501]


@pytest.mark.parametrize("content", ["[]", "no json", "{}"])
def test_another_programs_metadata_say_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(content)
    assert find_origins(crops(tmp_path, "anna/1.jpg"), kind="folders")[0].name == "own data (folders)"

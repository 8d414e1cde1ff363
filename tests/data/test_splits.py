"""Data sets by kind, recognised by their layout, and their parts as query and gallery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import splits
from mot_reid.data.identities import IdentityTable, query_gallery, split_identities

DRAWING = {"identities": 6, "test_identities": 3, "cameras": 2, "images_per_camera": 2}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people") / "drawn"
    splits.read("synthetic", root, drawing={**DRAWING, "progress": False})
    return root


def folder_per_person(root: Path) -> Path:
    for name in ("anna/1.png", "anna/2.png", "ben/1.png", "ben/2.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 16)).save(root / name)
    return root


def csv_of(root: Path) -> Path:
    folder_per_person(root)
    rows = [f"{person}/{i}.png,{person}" for person in ("anna", "ben") for i in (1, 2)]
    (root / "train.csv").write_text("\n".join(["path,person_id", *rows]))
    return root


def same(a: IdentityTable, b: IdentityTable) -> bool:
    return bool(np.array_equal(a.path, b.path) and np.array_equal(a.person_id, b.person_id))


@pytest.mark.parametrize(("make", "kind"), [(folder_per_person, "folders"), (csv_of, "csv")])
def test_recognise_and_read_agree_on_own_data(make, kind, tmp_path) -> None:
    root = make(tmp_path / "data")
    assert splits.recognise(root) == kind
    assert len(splits.read(kind, root).train) == 4


def test_recognise_finds_the_layout_of_market1501(people: Path) -> None:
    assert splits.recognise(people) == "market1501"
    assert same(splits.read("market1501", people).query, splits.read("synthetic", people, drawing=DRAWING).query)


def test_recognise_takes_a_file_for_a_csv(tmp_path: Path) -> None:
    assert splits.recognise(csv_of(tmp_path) / "train.csv") == "csv"


def test_recognise_refuses_what_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match=r"data.root: got '/nowhere'; expected an existing folder or CSV"):
        splits.recognise("/nowhere")


def test_read_requires_official_counts_only_when_asked(people: Path) -> None:
    with pytest.raises(ValueError, match="expected 12,936"):
        splits.read("market1501", people, official_counts=True)


def test_read_refuses_an_unknown_kind(people: Path) -> None:
    with pytest.raises(
        ValueError, match=r"data: got 'video'; expected one of auto, market1501, msmt17, .*, folders, csv"
    ):
        splits.read("video", people)


def test_choose_test_gives_the_data_sets_own_lists(people: Path) -> None:
    data = splits.read("market1501", people)
    query, gallery = splits.choose(data, "test")
    assert same(query, data.query) and same(gallery, data.gallery)


def test_choose_validation_gives_the_persons_that_training_holds_out(people: Path) -> None:
    data = splits.read("market1501", people)
    query, gallery = splits.choose(data, "validation", validation=0.5)
    kept, held_out = split_identities(data.train, 0.5, splits.SPLIT_SEED)
    asked, answers = query_gallery(held_out, splits.SPLIT_SEED)
    assert same(query, asked) and same(gallery, answers)
    assert not np.isin(query.person_id, kept.person_id).any()


def test_choose_train_asks_for_every_training_person(people: Path) -> None:
    data = splits.read("market1501", people)
    query, gallery = splits.choose(data, "train")
    assert set(query.person_id) == set(data.train.person_id)
    assert len(query) + len(gallery) == len(data.train)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("val", "data.split: got 'val'; expected one of test, validation, train"),
        ("validation", "training held nobody out"),
        ("test", "one list only"),
    ],
)
def test_choose_refuses(part: str, message: str, tmp_path: Path) -> None:
    data = splits.read("folders", folder_per_person(tmp_path))
    with pytest.raises(ValueError, match=message):
        splits.choose(data, part)


def test_choose_refuses_to_hold_out_without_a_train_list(people: Path) -> None:
    data = splits.read("market1501", people)
    with pytest.raises(ValueError, match="has no train list"):
        splits.choose(data._replace(train=data.train[:0]), "train")


def test_choose_offers_the_persons_held_out_where_there_are_some(tmp_path: Path) -> None:
    data = splits.read("folders", folder_per_person(tmp_path))
    with pytest.raises(ValueError, match=r"use data.split=validation for those .* or data.split=train if"):
        splits.choose(data, "test", validation=0.5)

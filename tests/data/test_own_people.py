"""One's own people: folders and CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mot_reid.data.own_people import read_csv, read_folders


def _images(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8)).save(root / name)


def _csv(folder: Path, text: str, *, name: str = "people.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_read_folders_numbers_persons_from_one_in_natural_order(tmp_path: Path) -> None:
    _images(tmp_path, "p10/a.jpg", "p2/a.jpg", "p2/b.PNG")
    train, query, gallery = read_folders(tmp_path)
    assert train.person_id.tolist() == [1, 1, 2]
    assert [Path(path).name for path in train.path] == ["a.jpg", "b.PNG", "a.jpg"]
    assert train.camera_id is None
    assert len(query) == len(gallery) == 0


def test_read_folders_takes_zero_for_a_person(tmp_path: Path) -> None:
    _images(tmp_path, "0/a.jpg", "1/a.jpg")
    assert read_folders(tmp_path).train.person_id.tolist() == [1, 2]


def test_read_folders_knows_the_same_person_in_every_split(tmp_path: Path) -> None:
    _images(tmp_path, "train/anna/1.jpg", "train/bert/1.jpg", "query/cleo/1.jpg", "gallery/bert/1.jpg")
    _images(tmp_path, "gallery/cleo/2.jpg", "gallery/dora/1.jpg")
    train, query, gallery = read_folders(tmp_path)
    assert train.person_id.tolist() == [1, 2]
    assert query.person_id.tolist() == [3]
    assert gallery.person_id.tolist() == [2, 3, 4]


def test_read_folders_without_train_serves_evaluation(tmp_path: Path) -> None:
    _images(tmp_path, "query/anna/1.jpg", "gallery/anna/2.jpg")
    train, query, gallery = read_folders(tmp_path)
    assert (len(train), len(query), len(gallery)) == (0, 1, 1)


def test_read_folders_reads_cameras_from_market_names(tmp_path: Path) -> None:
    _images(tmp_path, "anna/0001_c1s1_000001_00.jpg", "bert/0002_c4s1_000001_00.jpg")
    camera_id = read_folders(tmp_path).train.camera_id
    assert camera_id is not None and camera_id.tolist() == [1, 4]


def test_read_folders_knows_no_camera_where_no_name_has_one(tmp_path: Path) -> None:
    _images(tmp_path, "anna/1.jpg", "bert/holiday.jpg")
    assert read_folders(tmp_path).train.camera_id is None


@pytest.mark.parametrize("odd", ["bert/holiday.jpg", "query/bert/holiday.jpg"])
def test_read_folders_refuses_a_camera_in_some_names_only(tmp_path: Path, odd: str) -> None:
    """One of 54 names turned the cameras of all off."""
    split = "train/" if odd.startswith("query") else ""
    _images(tmp_path, *(f"{split}anna/0001_c{n % 3 + 1}s1_{n:06d}_00.jpg" for n in range(53)), odd)
    if split:
        _images(tmp_path, "gallery/bert/0002_c1s1_000001_00.jpg")
    with pytest.raises(
        ValueError, match=rf"got '.*{odd}' without a camera \(1 such\) and '.*' with one \(5[34] such\)"
    ):
        read_folders(tmp_path)


def test_read_folders_says_which_files_it_passes_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _images(tmp_path, "anna/a.jpg", "bert/a.jpg", "bert/cam1/b.jpg", "bert/cam2/deep/c.png", "cleo/cam1/a.jpg")
    for name in ("anna/phone.heic", "anna/Thumbs.db", "anna/.hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert len(read_folders(tmp_path).train) == 2
    assert (
        f"folders: passed over 4 files in '{tmp_path}': anna/phone.heic, bert/cam1/b.jpg, bert/cam2/deep/c.png "
        "and 1 more; expected images"
    ) in caplog.text


def test_read_folders_says_nothing_where_it_takes_everything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _images(tmp_path, "anna/a.jpg", "bert/a.jpg")
    read_folders(tmp_path)
    assert caplog.text == ""


def test_read_folders_names_images_that_are_all_one_folder_too_deep(tmp_path: Path) -> None:
    _images(tmp_path, "people/anna/a.jpg", "people/bert/a.jpg")
    with pytest.raises(ValueError, match=r"2 are one folder too deep, such as '.*people/anna/a\.jpg'"):
        read_folders(tmp_path)


@pytest.mark.parametrize("form", ["{}", "{}.0", " {}.00 ", "+{}"])
def test_read_csv_keeps_whole_numbers_however_they_are_written(tmp_path: Path, form: str) -> None:
    """As pandas writes them where a value is missing; junk stays junk and a distractor a distractor."""
    _images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    _csv(tmp_path, f"path,person_id,camera_id\na.jpg,{form.format(12)},{form.format(1)}\n", name="query.csv")
    junk = form.format(-1).replace("+-", "-")
    rows = f"a.jpg,{junk},2.0\nb.jpg,{form.format(0)},2\nc.jpg,{form.format(12)},3.0\n"
    _csv(tmp_path, f"path,person_id,camera_id\n{rows}", name="gallery.csv")
    _, query, gallery = read_csv(tmp_path)
    assert query.person_id.tolist() == [12] and gallery.person_id.tolist() == [0, 12]
    assert gallery.camera_id is not None and gallery.camera_id.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ("12b", r"got person_id '12b' of '.*c\.jpg' \(1 such\) together with whole numbers \(2 images\)"),
        ("12.5", r"got person_id '12\.5' of '.*c\.jpg'"),
        ("anna", r"got person_id 'anna' of '.*c\.jpg'"),
        ("nan", r"line 4: got path 'c\.jpg', person_id 'nan'; expected both"),
        ("<NA>", r"line 4: got path 'c\.jpg', person_id '<NA>'; expected both"),
    ],
)
def test_read_csv_refuses_one_odd_person(tmp_path: Path, odd: str, message: str) -> None:
    _images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    with pytest.raises(ValueError, match=message):
        read_csv(_csv(tmp_path, f"path,person_id\na.jpg,1\nb.jpg,2\nc.jpg,{odd}\n"))


def test_read_csv_refuses_cameras_in_one_list_only(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    _csv(tmp_path, "path,person_id,camera_id\na.jpg,1,1\n", name="query.csv")
    _csv(tmp_path, "path,person_id\nb.jpg,1\n", name="gallery.csv")
    with pytest.raises(ValueError, match=r"got '.*b\.jpg' without a camera \(1 such\) and '.*a\.jpg' with one"):
        read_csv(tmp_path)


def test_read_folders_names_the_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data.root: got '.*gone'; expected an existing folder"):
        read_folders(tmp_path / "gone")


def test_read_folders_refuses_a_folder_without_identities(tmp_path: Path) -> None:
    _images(tmp_path, "loose.jpg")
    with pytest.raises(ValueError, match=r"got no image below '.*'; expected one folder per identity"):
        read_folders(tmp_path)


def test_read_folders_refuses_one_image_only(tmp_path: Path) -> None:
    _images(tmp_path, "anna/a.jpg")
    with pytest.raises(ValueError, match=r"got 1 image\(s\); expected at least two images"):
        read_folders(tmp_path)


def test_read_folders_refuses_a_query_without_gallery(tmp_path: Path) -> None:
    _images(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "query/a/1.jpg")
    with pytest.raises(ValueError, match="got a query and no gallery; expected both or neither"):
        read_folders(tmp_path)


def test_read_csv_keeps_whole_numbers_as_ids(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")
    table = read_csv(_csv(tmp_path, "path,person_id,camera_id\na.jpg,7,1\nb.jpg,7,2\nsub/c.jpg,1501,2\n")).train
    assert table.person_id.tolist() == [7, 7, 1501]
    assert table.camera_id is not None and table.camera_id.tolist() == [1, 2, 2]
    assert Path(table.path[2]) == tmp_path / "sub" / "c.jpg"


def test_read_csv_numbers_names_and_ignores_other_columns(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    table = read_csv(_csv(tmp_path, "\ufeffnote,person_id,path\nx,p10,a.jpg\ny,p9,b.jpg\n")).train
    assert table.person_id.tolist() == [2, 1] and table.camera_id is None


def test_read_csv_of_a_folder_reads_the_three_lists_and_drops_junk(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    _csv(tmp_path, "path,person_id,camera_id\na.jpg,1,1\nb.jpg,2,1\n", name="train.csv")
    _csv(tmp_path, "path,person_id,camera_id\na.jpg,3,1\n", name="query.csv")
    _csv(tmp_path, "path,person_id,camera_id\na.jpg,-1,2\nb.jpg,0,2\nc.jpg,3,2\n", name="gallery.csv")
    train, query, gallery = read_csv(tmp_path)
    assert train.person_id.tolist() == [1, 2] and query.person_id.tolist() == [3]
    assert gallery.person_id.tolist() == [0, 3]


def test_read_csv_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data.root: got '.*none.csv'; expected an existing file"):
        read_csv(tmp_path / "none.csv")


def test_read_csv_names_the_line_of_a_missing_image(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"people.csv' line 3: got '.*gone.jpg'; expected an existing image"):
        read_csv(_csv(tmp_path, "path,person_id\na.jpg,1\ngone.jpg,2\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,name\na.jpg,1\n", r"got columns path, name; expected person_id as well"),
        ("", r"got columns none; expected path, person_id as well"),
        ("path,person_id\na.jpg,\n", r"line 2: got path 'a.jpg', person_id ''; expected both"),
        ("path,person_id\na.jpg\n", r"line 2: got path 'a.jpg', person_id ''; expected both"),
        ("path,person_id,camera_id\na.jpg,1,left\n", r"line 2: got camera_id 'left'; expected a whole number"),
        ("path,person_id\na.jpg,0\nb.jpg,1\n", r"got person_id 0 in the train list; expected ids from 1"),
        ("path,person_id\na.jpg,1\n", r"got 1 image\(s\); expected at least two"),
        ('path,person_id\n"a.jpg"x,1\n', r"after line 1: got .*; expected comma separated values"),
    ],
)
def test_read_csv_refuses_what_it_cannot_use(tmp_path: Path, text: str, message: str) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(ValueError, match=message):
        read_csv(_csv(tmp_path, text))


def test_read_csv_refuses_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(b"\xff\xfe\x80\x81")
    with pytest.raises(ValueError, match=r"csv: got '.*people.csv' \(.*\); expected UTF-8 text"):
        read_csv(tmp_path / "people.csv")


def test_read_folders_passes_over_hidden_files_and_folders(tmp_path: Path) -> None:
    _images(tmp_path, "anna/a.jpg", "bert/a.jpg", "anna/.thumbs.jpg", ".ipynb_checkpoints/a.jpg")
    (tmp_path / "anna" / "._a.jpg").write_bytes(b"resource fork")
    assert [Path(path).relative_to(tmp_path).as_posix() for path in read_folders(tmp_path).train.path] == [
        "anna/a.jpg",
        "bert/a.jpg",
    ]


def test_read_folders_refuses_images_beside_the_identities(tmp_path: Path) -> None:
    _images(tmp_path, "anna/a.jpg", "bert/a.jpg", "loose.jpg", "stray.png")
    with pytest.raises(ValueError, match=r"loose.jpg' next to the folders of persons \(2 such\)"):
        read_folders(tmp_path)


@pytest.mark.parametrize("again", ["a.jpg,anna", "a.jpg,bert", "./a.jpg,anna"])
def test_read_csv_refuses_an_image_listed_twice(tmp_path: Path, again: str) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    path = _csv(tmp_path, f"path,person_id\na.jpg,anna\nb.jpg,bert\n{again}\n")
    with pytest.raises(ValueError, match=r"line 4: got '.*a.jpg', listed in line 2 too"):
        read_csv(path)


def test_read_csv_lets_an_image_be_in_query_and_in_train(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    for name in ("train", "query", "gallery"):
        _csv(tmp_path, "path,person_id\na.jpg,anna\nb.jpg,anna\n", name=f"{name}.csv")
    assert [len(table) for table in read_csv(tmp_path)] == [2, 2, 2]


def test_read_csv_refuses_a_blank_person(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(ValueError, match=r"line 3: got path 'b.jpg', person_id ''; expected both"):
        read_csv(_csv(tmp_path, "path,person_id\na.jpg,anna\nb.jpg,  \n"))


def test_read_csv_refuses_more_values_than_columns(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(ValueError, match="line 3: got more values than columns"):
        read_csv(_csv(tmp_path, "path,person_id\na.jpg,anna\nb.jpg,bert,x\n"))


def test_read_csv_takes_spaces_around_the_names_of_columns(tmp_path: Path) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    table = read_csv(_csv(tmp_path, "path, person_id , camera_id\na.jpg, 7, 1\nb.jpg, 8, 2\n")).train
    assert (table.person_id.tolist(), table.camera_id.tolist()) == ([7, 8], [1, 2])  # type: ignore[union-attr]


@pytest.mark.parametrize(("row", "named"), [(f"{10**25},1", "person_id: got 1"), (f"1,{10**25}", "camera_id '1")])
def test_read_csv_refuses_numbers_too_large_to_keep(tmp_path: Path, row: str, named: str) -> None:
    _images(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(ValueError, match=named):
        read_csv(_csv(tmp_path, f"path,person_id,camera_id\na.jpg,1,1\nb.jpg,{row}\n"))


def test_read_folders_refuses_a_folder_beside_the_splits(tmp_path: Path) -> None:
    _images(tmp_path, "train/1/a.jpg", "train/1/b.jpg", "val/2/a.jpg")
    with pytest.raises(ValueError, match="folders: got 'val' beside 'train'"):
        read_folders(tmp_path)


def test_camera_that_says_unknown_is_refused(tmp_path: Path) -> None:
    """-1 would be one camera that saw all of these images."""
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 16)).save(tmp_path / name)
    (tmp_path / "people.csv").write_text("path,person_id,camera_id\na.jpg,1,1\nb.jpg,2,-1\n")
    with pytest.raises(ValueError, match=r"line 3: got camera_id '-1'; expected 0 or more; .* remove them, or the col"):
        read_csv(tmp_path / "people.csv")


@pytest.mark.parametrize("name", ["-1", "-1.0"])
def test_folder_of_junk_is_no_person(tmp_path: Path, name: str) -> None:
    for person in (name, "2"):
        (tmp_path / person).mkdir()
        Image.new("RGB", (8, 16)).save(tmp_path / person / "a.jpg")
    with pytest.raises(ValueError, match=rf"got '.*/{name}'; expected the name of a person, and -1 is junk elsewhere"):
        read_folders(tmp_path)

"""Re-ID data from tracking data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import market1501
from mot_reid.data.images import decode
from mot_reid.data.mot_crops import CropRules, plan_crops, write_crops
from mot_reid.data.motchallenge import Sequence, read_sequence, write_ground_truth, write_sequence
from mot_reid.data.video_writer import VideoWriter
from mot_reid.structures import TrackTable

RULES = CropRules(per_second=5, gap_seconds=1.0, height=20)
LIVES = {1: (1, 60), 2: (1, 100), 3: (50, 100), 4: (56, 100), 5: (61, 100), 6: (62, 100), 7: (95, 96)}
"""First and last frame of each person, at 10 frames per second: the cut is at 50, testing begins after 60."""


def _sequence(folder: Path) -> Sequence:
    return Sequence(folder, "street", "img1", 10, 100, 200, 100, ".png")


def _truth() -> TrackTable:
    """Person i stands at x = 25 i, 20 wide and 60 tall, for its life."""
    rows = [(frame, person) for person, (start, end) in LIVES.items() for frame in range(start, end + 1)]
    frame, person = np.array(rows).T
    x = 25.0 * person
    xyxy = np.stack([x - 10, np.full(len(x), 20.0), x + 10, np.full(len(x), 80.0)], axis=1)
    return TrackTable(frame=frame, track_id=person, xyxy=xyxy, class_id=np.ones_like(person))


def _color(person: int) -> tuple[int, int, int]:
    return 30 * person, 255 - 30 * person, 80


def _picture(size: tuple[int, int] = (200, 100)) -> Image.Image:
    """All persons as plain boxes, each in its colour (who is there is the ground truth's business)."""
    picture = Image.new("RGB", (200, 100))
    for person in LIVES:
        picture.paste(_color(person), (25 * person - 10, 20, 25 * person + 10, 80))
    return picture.resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def sequence(tmp_path: Path) -> Sequence:
    sequence = _sequence(tmp_path / "street")
    (sequence.folder / "img1").mkdir(parents=True)
    write_sequence(sequence)
    write_ground_truth(sequence.ground_truth_path, _truth())
    _picture().save(sequence.frame_path(1))
    for number in range(2, 101):
        sequence.frame_path(number).symlink_to(sequence.frame_path(1))
    return sequence


def _plan(**changes: float) -> dict[str, np.ndarray]:
    truth = _truth()
    plan = plan_crops(truth, np.ones(len(truth)), _sequence(Path()), rules=replace(RULES, **changes))
    rows = truth[plan.row]
    return {"person": rows.track_id, "frame": rows.frame, "train": plan.train, "part": plan.part}


def test_plan_trains_before_the_cut_and_tests_persons_who_come_after_the_gap() -> None:
    plan = _plan()
    assert plan["frame"][plan["train"]].max() <= 50
    assert set(plan["person"][plan["train"]].tolist()) == {1, 2}
    assert set(plan["person"][~plan["train"]].tolist()) == {5, 6}
    assert plan["frame"][~plan["train"]].min() > 60


def test_plan_shares_no_person_and_no_time_for_any_cut() -> None:
    for share in (0.1, 0.3, 0.5, 0.6, 0.8):
        for gap in (0.0, 0.5, 2.0):
            plan = _plan(train_share=share, gap_seconds=gap)
            train, test = plan["train"], ~plan["train"]
            assert not set(plan["person"][train]) & set(plan["person"][test])
            if train.any() and test.any():
                assert plan["frame"][test].min() - plan["frame"][train].max() > 10 * gap


def test_plan_without_training_tests_everybody() -> None:
    plan = _plan(train_share=0)
    assert not plan["train"].any()
    assert set(plan["person"].tolist()) == {1, 2, 3, 4, 5, 6}  # with the default, 3 and 4 are in neither part


def test_plan_keeps_the_gap_between_the_parts_of_a_persons_time() -> None:
    plan = _plan()
    for person in set(plan["person"].tolist()):
        before, after = (plan["frame"][(plan["person"] == person) & (plan["part"] == part)] for part in (0, 1))
        assert len(before) and len(after)
        assert after.min() - before.max() >= 10


def test_plan_thins_to_the_crops_per_second() -> None:
    plan = _plan(per_second=2)
    for person in set(plan["person"].tolist()):
        assert np.diff(plan["frame"][plan["person"] == person]).min() == 5


def test_plan_drops_what_is_hidden_small_outside_or_no_person() -> None:
    truth = _truth()
    seen = np.where(truth.track_id == 1, 0.3, 1.0)
    tall = truth.xyxy.copy()
    tall[truth.track_id == 5, 3] = 35
    half_out = truth.replace(xyxy=tall)
    class_id = np.where(truth.track_id == 6, 7, 1)
    plan = plan_crops(half_out.replace(class_id=class_id), seen, _sequence(Path()), rules=RULES)
    assert set(truth.track_id[plan.row].tolist()) == {2}
    plan = plan_crops(
        truth.replace(xyxy=truth.xyxy + np.array([0, 60, 0, 60])), np.ones(len(truth)), _sequence(Path()), rules=RULES
    )
    assert len(plan.row) == 0


def test_plan_counts_a_hidden_first_sight_as_seen() -> None:
    """Person 5 stands in the picture from frame 40 on, hidden: not a new person after the cut."""
    truth = TrackTable.concatenate([_truth(), _truth()[:1].replace(track_id=[5], frame=[40])])
    seen = np.append(np.ones(len(truth) - 1), 0.0)
    plan = plan_crops(truth, seen, _sequence(Path()), rules=RULES)
    assert 5 not in set(truth.track_id[plan.row[~plan.train]].tolist())


def test_write_crops_is_read_as_market1501(sequence: Sequence, tmp_path: Path) -> None:
    metadata = write_crops(tmp_path / "out", [sequence], rules=RULES, progress=False)
    train, query, gallery = market1501.read(tmp_path / "out", official_counts=False)
    assert set(train.person_id.tolist()) == {1, 2} and set(query.person_id.tolist()) == {3, 4}
    assert not set(train.person_id) & set(gallery.person_id)
    assert metadata["counts"]["query"] == {"images": 4, "identities": 2}
    assert metadata["sequences"]["street"] == {"frames": 100, "last_training_frame": 50, "first_testing_frame": 61}


def test_write_crops_without_training_can_be_tested(sequence: Sequence, tmp_path: Path) -> None:
    write_crops(tmp_path / "out", [sequence], rules=replace(RULES, train_share=0), progress=False)
    train, query, _ = market1501.read(tmp_path / "out", official_counts=False)
    assert len(train) == 0 and len(set(query.person_id.tolist())) == 6


def test_write_crops_cuts_out_the_right_person(sequence: Sequence, tmp_path: Path) -> None:
    write_crops(tmp_path / "out", [sequence], rules=RULES, progress=False)
    for table in market1501.read(tmp_path / "out", official_counts=False):
        for path, person in zip(table.path, table.person_id):
            image = decode(path)
            assert image.shape == (60, 20, 3)
            track = {1: 1, 2: 2, 3: 5, 4: 6}[int(person)]
            assert np.abs(image[30, 10].astype(int) - _color(track)).max() < 4


def test_write_crops_from_a_video_of_another_size(sequence: Sequence, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "street.avi", frame_rate=10) as writer:
        for _ in range(100):
            writer.write(np.ascontiguousarray(np.asarray(_picture((400, 200)))[..., ::-1]))
    write_crops(tmp_path / "out", [sequence], videos={"street": tmp_path / "street.avi"}, rules=RULES, progress=False)
    train = market1501.read(tmp_path / "out", official_counts=False).train
    image = decode(train.path[0])
    assert image.shape == (120, 40, 3)
    assert np.abs(image[60, 20].astype(int) - _color(1)).max() < 20


def test_write_crops_numbers_persons_and_cameras_over_sequences(sequence: Sequence, tmp_path: Path) -> None:
    other = replace(sequence, name="square")
    write_crops(tmp_path / "out", [sequence, other], rules=RULES, progress=False)
    train, query, _ = market1501.read(tmp_path / "out", official_counts=False)
    assert set(train.person_id.tolist()) == {1, 2, 5, 6}
    assert query.camera_id is not None and set(query.camera_id.tolist()) == {1, 2, 3, 4}


def test_write_crops_leaves_nothing_when_frames_are_missing(sequence: Sequence, tmp_path: Path) -> None:
    for number in (3, 7, 9):
        sequence.frame_path(number).unlink()
    with pytest.raises(FileNotFoundError, match=r"street: got no image for 3 of \d+ frames; expected '.*000003\.png'"):
        write_crops(tmp_path / "out", [sequence], rules=RULES, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["street"]


def test_write_crops_refuses_a_video_that_is_too_short(sequence: Sequence, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "short.avi", frame_rate=10) as writer:
        for _ in range(20):
            writer.write(np.zeros((100, 200, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"short\.avi' is missing \d+ frames, the first is 31"):
        write_crops(
            tmp_path / "out", [sequence], videos={"street": tmp_path / "short.avi"}, rules=RULES, progress=False
        )


def test_write_crops_explains_when_nobody_can_be_asked_for(sequence: Sequence, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got no query: no person is first seen after the training part"):
        write_crops(tmp_path / "out", [sequence], rules=replace(RULES, train_share=0.9), progress=False)


def test_write_crops_refuses_an_output_that_exists(sequence: Sequence) -> None:
    with pytest.raises(ValueError, match=r"output: got '.*street', which exists; expected a new folder"):
        write_crops(sequence.folder, [sequence], rules=RULES, progress=False)


@pytest.mark.parametrize(
    ("name", "value"), [("visibility", 1.5), ("train_share", -0.1), ("gap_seconds", -1.0), ("per_second", float("nan"))]
)
def test_crop_rules_refuse_nonsense(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"crops: {name}: got {value}; expected a number from"):
        CropRules(**{name: value})


@pytest.mark.data
def test_real_video_gives_crops_of_disjoint_persons(real_data: Path, tmp_path: Path) -> None:
    sequence = read_sequence(real_data / "MOT15" / "train" / "PETS09-S2L1")
    video = real_data / "video" / "pets09-s2l1.avi"
    rules = CropRules(per_second=0.5)
    write_crops(tmp_path / "out", [sequence], videos={sequence.name: video}, rules=rules, progress=False)
    train, query, gallery = market1501.read(tmp_path / "out", official_counts=False)
    assert len(set(train.person_id)) == 10 and len(set(gallery.person_id)) == 9
    assert not set(train.person_id) & set(gallery.person_id) and set(query.person_id) <= set(gallery.person_id)

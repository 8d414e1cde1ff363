"""What a teacher said: kept, found again, refused where it is another's, and looked up by crop and view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mot_reid.data.identities import IdentityTable
from mot_reid.data.images import decode
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.teacher import Teacher
from mot_reid.training import teacher_views
from mot_reid.training.builders import read_sources
from mot_reid.training.teacher_views import TeacherViews, embed_view, read_or_embed
from mot_reid.training.views import draw_view
from tests.helpers.runs import small_config

BUNDLED = "osnet_x0_25_market1501"


@pytest.fixture(scope="module")
def crops(people: Path) -> IdentityTable:
    return read_sources(small_config(people, people.parent))[0].splits.train[:5]


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(BUNDLED)


def test_each_view_is_embedded_as_the_embedder_does(crops: IdentityTable, teacher: Teacher) -> None:
    view = draw_view(len(crops), 1)
    found = embed_view(teacher, crops, view)
    embedder = Embedder(BUNDLED, device="cpu")
    for row, path in enumerate(crops.path.tolist()):
        image = torch.from_numpy(decode(path)).permute(2, 0, 1)[None]
        picture = view[torch.tensor([row])](image)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found[row], embedder.embed([picture], color="rgb")[0], atol=2e-3)


def test_folder_is_written_once_and_read_afterwards(
    crops: IdentityTable, teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_or_embed(teacher, crops, views=2, crops_name="a", folder=tmp_path)
    assert first.shape == (2, 5, 128) and first.dtype == torch.float16

    def refuse(*arguments: object) -> None:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(teacher_views, "embed_view", refuse)
    assert torch.equal(read_or_embed(teacher, crops, views=2, crops_name="a", folder=tmp_path), first)
    with pytest.raises(AssertionError, match="asked again"):
        read_or_embed(teacher, crops, views=3, crops_name="a", folder=tmp_path)


def test_folder_of_other_crops_or_of_another_teacher_is_refused(
    crops: IdentityTable, teacher: Teacher, tmp_path: Path
) -> None:
    np.savez(tmp_path / "view_0.npz", embedding=np.zeros((5, 3), np.float16), teacher=teacher.sha256, crops="a")
    with pytest.raises(ValueError, match=r"view_0.npz', made with other crops \(a\); expected b; name another folder"):
        read_or_embed(teacher, crops, views=1, crops_name="b", folder=tmp_path)
    np.savez(tmp_path / "view_0.npz", embedding=np.zeros((5, 3), np.float16), teacher="x", crops="b")
    with pytest.raises(ValueError, match=r"made with other teacher \(x\); expected [0-9a-f]{12}; name another"):
        read_or_embed(teacher, crops, views=1, crops_name="b", folder=tmp_path)
    (tmp_path / "view_0.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"which is no file of views; remove it"):
        read_or_embed(teacher, crops, views=1, crops_name="b", folder=tmp_path)


def test_pictures_and_targets_belong_together() -> None:
    """Every crop gets each of its views about as often, and the embedding of that very view."""
    embeddings = torch.arange(3 * 7, dtype=torch.float16).reshape(3, 7, 1)
    views = TeacherViews(embeddings)
    rows = torch.tensor([4, 0, 4, 6]).repeat(300)
    chosen = views.choose(rows, torch.Generator().manual_seed(0))
    targets = views.targets(chosen)[:, 0]
    number = torch.div(targets, 7, rounding_mode="floor").long()
    assert torch.equal(targets.long() % 7, rows)
    assert all(350 < int(count) < 450 for count in number.bincount())
    images = torch.randint(256, (4, 3, 8, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    found = views.images(images, chosen[:4])
    for place in range(4):
        row = rows[place : place + 1]
        expected = draw_view(7, int(number[place]))[row](images[place : place + 1])
        assert torch.equal(found[place : place + 1], expected)

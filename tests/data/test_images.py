"""One image, or many, from disk."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.images import decode, decode_bytes, decode_many, encode_jpeg


def _save(path: Path, colour: tuple[int, int, int], *, size: tuple[int, int] = (4, 6)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_decode_returns_rows_columns_rgb(tmp_path: Path) -> None:
    image = decode(_save(tmp_path / "red.png", (250, 10, 20), size=(4, 6)))
    assert image.shape == (6, 4, 3) and image.dtype == np.uint8
    assert image[0, 0].tolist() == [250, 10, 20]


def test_decode_result_can_be_written(tmp_path: Path) -> None:
    assert decode(_save(tmp_path / "a.png", (1, 2, 3))).flags.writeable


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_decode_converts_every_mode_to_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tif"
    Image.new("RGB", (3, 5), (255, 255, 255)).convert(mode).save(path)
    image = decode(path)
    assert image.shape == (5, 3, 3)
    assert (image == 255).all()


def test_decode_scales_sixteen_bits_to_eight(tmp_path: Path) -> None:
    path = tmp_path / "depth.png"
    Image.fromarray(np.array([[0, 255, 256, 30_000, 65_535]], dtype=np.uint16)).save(path)
    assert decode(path)[0, :, 0].tolist() == [0, 0, 1, 117, 255]


def test_decode_turns_the_image_upright_when_exif_says_so(tmp_path: Path) -> None:
    picture = Image.new("RGB", (2, 1))
    picture.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise
    picture.save(tmp_path / "turned.png", exif=exif)
    image = decode(tmp_path / "turned.png")
    assert image.shape == (2, 1, 3)
    assert image[0, 0].tolist() == [255, 0, 0]


def test_file_of_no_format_is_refused_where_ultralytics_has_patched_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caught: the patch asks for a package to read HEIC, and its ModuleNotFoundError leaves our code."""
    theirs = Image.open

    def patched(*args: Any, **kwargs: Any) -> Image.Image:
        try:
            return theirs(*args, **kwargs)
        except Image.UnidentifiedImageError:
            raise ModuleNotFoundError("No module named 'pi_heif'") from None

    monkeypatch.setattr(Image, "open", patched)
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"image: got '.*a.jpg' \(no image format recognised\); expected a whole image"
    ):
        decode(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"refused \(no image format recognised\)"):
        decode_bytes(b"no image", format="JPEG", max_pixels=10)


def test_decode_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"image: got '.*none.jpg'; expected an existing file"):
        decode(tmp_path / "none.jpg")


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\xff\xd8\xff\xe0" + b"\0" * 40])
def test_decode_names_the_file_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fake.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"image: got '.*fake.jpg' \(.+\); expected a whole image file"):
        decode(tmp_path / "fake.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_decode_refuses_a_truncated_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut{suffix}"
    Image.effect_noise((64, 64), 80).convert("RGB").save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"cut\..* expected a whole image file"):
        decode(path)


def test_decode_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a whole image file"):
        decode(tmp_path)


def test_decode_many_keeps_the_order(tmp_path: Path) -> None:
    paths = [_save(tmp_path / f"{i}.png", (i % 256, i // 256, 7)) for i in range(300)]
    images = decode_many(paths, workers=3, progress=False)
    assert [int(image[0, 0, 0]) + 256 * int(image[0, 0, 1]) for image in images] == list(range(300))


def test_decode_many_equals_decode_whatever_the_workers(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.jpg" for i in range(5)]
    for path in paths:
        Image.effect_noise((8, 8), 80).convert("RGB").save(path)
    for workers in (1, 2):
        for image, path in zip(decode_many(paths, workers=workers, progress=False), paths):
            assert np.array_equal(image, decode(path))


def test_decode_many_of_nothing_is_nothing() -> None:
    assert decode_many([], progress=False) == []


def test_decode_many_names_the_bad_file(tmp_path: Path) -> None:
    good = _save(tmp_path / "good.png", (1, 2, 3))
    (tmp_path / "bad.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"bad\.png"):
        decode_many([good, tmp_path / "bad.png", good], progress=False)


def encoded(width: int, height: int, format: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), (200, 10, 10)).save(buffer, format)
    return buffer.getvalue()


def test_bytes_are_decoded_as_the_format_that_is_named_and_no_other() -> None:
    assert decode_bytes(encoded(5, 4, "PNG"), format="PNG", max_pixels=20).tolist() == [[[200, 10, 10]] * 5] * 4
    with pytest.raises(ValueError, match="no image format recognised"):
        decode_bytes(encoded(5, 4, "PNG"), format="JPEG", max_pixels=20)


def test_bytes_of_too_many_pixels_are_not_decoded() -> None:
    with pytest.raises(ValueError, match="5 x 4 pixels; at most 19 are allowed"):
        decode_bytes(encoded(5, 4, "PNG"), format="PNG", max_pixels=19)
    with pytest.raises(ValueError, match="expected a whole image"):
        decode_bytes(encoded(50, 40, "JPEG")[:300], format="JPEG", max_pixels=2000)


def test_encoded_picture_is_a_jpeg_of_the_same_picture() -> None:
    picture = np.full((8, 16, 3), (200, 10, 10), dtype=np.uint8)
    again = decode_bytes(encode_jpeg(picture), format="JPEG", max_pixels=1000)
    assert again.shape == (8, 16, 3) and np.abs(again.astype(int) - picture).max() < 6

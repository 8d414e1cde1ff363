"""Synthetic people in the Market-1501 layout: the data set that needs no download.

A person keeps clothes, build, hair and bag (`figures`). What changes between pictures is what changes in the street:
the side seen and the stride, the crop, something in front, light, blur; and from camera to camera the tint, the
contrast and the background, so that colour alone does not tell who somebody is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mot_reid.arrays import Float32Array
from mot_reid.data import market1501
from mot_reid.data.images import in_threads
from mot_reid.data.prepared import new_folder
from mot_reid.data.synthetic_people import CLOTHES, Person, draw_person, paste_person, random_person, random_pose

WIDTH, HEIGHT = 64, 128
VERSION = 1
"""Part of every data set's description: raise it when the pictures change, so that old caches are drawn anew."""

MARKER = "synthetic.json"
"""The file that says how a folder was drawn."""
_SUPERSAMPLING = 2
_DISTRACTORS_PER_CAMERA = 10
_JUNK_PER_CAMERA = 5


@dataclass(frozen=True, slots=True)
class Camera:
    """What all pictures of one camera share.

    Attributes:
        gain: `(3,)` factor of each colour channel.
        gamma: Exponent of the tone curve; above 1 is darker.
        contrast: Factor around middle grey.
        wall: Colour of the background's upper part.
        ground: Colour of its lower part.
        tiles: Spacing of the lines on the ground in pixels; 0 for none.
        blur: Radius in pixels.
        light: Side the light comes from, -1 to 1.
    """

    gain: Float32Array
    gamma: float
    contrast: float
    wall: Float32Array
    ground: Float32Array
    tiles: int
    blur: float
    light: float


@dataclass(frozen=True, slots=True)
class _Crop:
    """One picture to draw: its file below the root, and the seeds of person, camera and picture."""

    file: str
    person: tuple[int, ...]
    camera: int
    picture: tuple[int, ...]
    junk: bool = False


def generate(
    root: str | Path,
    *,
    identities: int = 100,
    test_identities: int = 50,
    cameras: int = 4,
    images_per_camera: int = 4,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Draw a data set of 128 x 64 JPEG crops in the Market-1501 layout, once.

    A second call with the same arguments finds the first one's work. The folder appears whole or not at all, also when
    several processes ask at the same time.

    Args:
        root: The folder to create, such as a cache.
        identities: Persons to train on; their ids are 1 .. identities.
        test_identities: Persons in query and gallery; their ids follow.
        cameras: Cameras that see every person.
        images_per_camera: Pictures of each person by each camera; of a test person the first one is a query.
        seed: Chooses everything; a picture does not depend on how many others there are.
        progress: Show a progress bar.

    Returns:
        `root`, with bounding_box_train, query and bounding_box_test (distractors and junk included).

    Raises:
        ValueError: Too few persons, cameras or images to make a query, or `root` holds something else.
    """
    root = Path(root)
    for name, value, least in (
        ("identities", identities, 2),
        ("test_identities", test_identities, 2),
        ("cameras", cameras, 2),
        ("images_per_camera", images_per_camera, 2),
    ):
        if value < least:
            raise ValueError(f"synthetic {name}: got {value}; expected {least} or more; raise it")
    description = {
        "version": VERSION,
        "identities": identities,
        "test_identities": test_identities,
        "cameras": cameras,
        "images_per_camera": images_per_camera,
        "seed": seed,
    }
    if _is_drawn(root, description):
        return root
    crops = _plan(identities, test_identities, cameras, images_per_camera)
    try:
        with new_folder(root) as part:
            _draw_all(part, crops, seed, progress=progress)
            (part / MARKER).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    except OSError:  # another process may have been first
        if not _is_drawn(root, description):
            raise
    return root


def _is_drawn(root: Path, description: dict[str, int]) -> bool:
    """Whether `root` holds this data set already; refuses a folder that is not ours to replace."""
    marker = root / MARKER
    if marker.is_file():
        return bool(json.loads(marker.read_text(encoding="utf-8")) == description)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ValueError(f"synthetic: got '{root}', which has other content; expected a new folder; choose another")
    return False


def _plan(identities: int, test_identities: int, cameras: int, images_per_camera: int) -> list[_Crop]:
    """Every file of the data set. Persons and pictures are named by seeds, so the plan fixes the pictures."""
    train, query, gallery = market1501.FOLDERS.values()
    crops = []
    for person in range(1, identities + test_identities + 1):
        for camera in range(1, cameras + 1):
            for index in range(images_per_camera):
                folder = train if person <= identities else query if index == 0 else gallery
                name = f"{person:04d}_c{camera}s1_{person * 25 + index:06d}_{index:02d}.jpg"
                crops.append(_Crop(f"{folder}/{name}", (0, person), camera, (person, camera, index)))
    for camera in range(1, cameras + 1):
        for index in range(_DISTRACTORS_PER_CAMERA + _JUNK_PER_CAMERA):
            junk = index >= _DISTRACTORS_PER_CAMERA
            name = f"{'-1' if junk else '0000'}_c{camera}s1_{index:06d}_00.jpg"
            crops.append(_Crop(f"{gallery}/{name}", (1, camera, index), camera, (0, camera, index), junk))
    return crops


def _draw_all(folder: Path, crops: list[_Crop], seed: int, *, progress: bool) -> None:
    for name in market1501.FOLDERS.values():
        (folder / name).mkdir(parents=True)

    def draw(crop: _Crop) -> None:
        person = random_person(np.random.default_rng([seed, 0, *crop.person]))
        camera = random_camera(np.random.default_rng([seed, 1, crop.camera]))
        image = draw_crop(person, camera, np.random.default_rng([seed, 2, *crop.picture]), junk=crop.junk)
        Image.fromarray(image).save(folder / crop.file, quality=88)

    for _ in in_threads(draw, crops, None, "drawing" if progress else None):
        pass


def random_camera(rng: np.random.Generator) -> Camera:
    """A camera with a colour cast, a tone curve and a place of its own."""
    cast = np.exp(rng.normal(0, 0.11, 3))
    return Camera(
        gain=(cast / cast.mean() * rng.uniform(0.85, 1.15)).astype(np.float32),
        gamma=float(rng.uniform(0.75, 1.35)),
        contrast=float(rng.uniform(0.7, 1.05)),
        wall=_place(rng),
        ground=_place(rng),
        tiles=int(rng.choice([0, 9, 14])),
        blur=float(rng.uniform(0.2, 0.8)),
        light=float(rng.uniform(-1, 1)),
    )


def draw_crop(person: Person, camera: Camera, rng: np.random.Generator, *, junk: bool = False) -> NDArray[np.uint8]:
    """One picture of a person as a detector would cut it out.

    Args:
        person: Who.
        camera: By which camera.
        rng: Pose, crop, spot, what stands in front, and the noise.
        junk: Cut so badly that most of the person is outside.

    Returns:
        (128, 64, 3) uint8 RGB.
    """
    canvas = _background(camera, rng)
    width, height = canvas.size
    if rng.random() < 0.25:
        passer_by = draw_person(random_person(rng), random_pose(rng), int(rng.uniform(0.6, 0.9) * height))
        paste_person(canvas, passer_by, rng.uniform(0, width), rng.uniform(0.85, 1.0) * height)
    size = int(height * rng.uniform(0.86, 1.06))
    middle = width * (0.5 + rng.normal(0, 0.05))
    feet = height * rng.uniform(0.95, 1.05)
    if junk:
        middle, feet = width * rng.choice([0.0, 1.0]), height * rng.choice([0.6, 1.45])
    paste_person(canvas, draw_person(person, random_pose(rng), size), middle, feet)
    if rng.random() < 0.3:
        _occlude(canvas, rng)
    return _expose(canvas.reduce(_SUPERSAMPLING), camera, rng)


def _place(rng: np.random.Generator) -> Float32Array:
    return (rng.uniform(90, 180) + rng.normal(0, 12, 3)).astype(np.float32)


def _background(camera: Camera, rng: np.random.Generator) -> Image.Image:
    """Wall above, ground below, uneven, seen at a random spot; of the size that people are drawn at."""
    scene = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
    horizon = int(HEIGHT * rng.uniform(0.2, 0.55))
    spot = rng.normal(0, 30, (2, 1)) + rng.normal(0, 12, (2, 3))
    scene[:horizon], scene[horizon:] = camera.wall + spot[0], camera.ground + spot[1]
    if camera.tiles:
        scene[horizon + int(rng.integers(camera.tiles)) :: camera.tiles] *= 0.85
    for _ in range(rng.integers(3)):
        x, half = rng.integers(WIDTH), rng.integers(1, 8)
        scene[: horizon + rng.integers(10), max(0, x - half) : x + half] *= rng.uniform(0.6, 1.3)
    cells = Image.fromarray(rng.uniform(0.8, 1.2, (8, 4)).astype(np.float32))
    scene *= np.asarray(cells.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))[..., None]
    small = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    return small.resize((WIDTH * _SUPERSAMPLING, HEIGHT * _SUPERSAMPLING), Image.Resampling.NEAREST)


def _occlude(canvas: Image.Image, rng: np.random.Generator) -> None:
    """Put a post, something low, or somebody in front, in place."""
    width, height = canvas.size
    kind = rng.integers(3)
    if kind == 0:
        x = int(rng.uniform(0.1, 0.9) * width)
        canvas.paste((int(rng.uniform(40, 170)),) * 3, (x, 0, x + int(rng.integers(6, 16)), height))
    elif kind == 1:
        color = CLOTHES[rng.integers(len(CLOTHES))]
        canvas.paste(color, (0, int(rng.uniform(0.65, 0.85) * height), int(rng.uniform(0.5, 1.0) * width), height))
    else:
        other = draw_person(random_person(rng), random_pose(rng), int(rng.uniform(0.9, 1.1) * height))
        paste_person(canvas, other, rng.choice([-0.08, 1.08]) * width, 1.05 * height)


def _expose(picture: Image.Image, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the camera makes of the scene: side light, cast, exposure, tone curve, blur, noise."""
    side = 1 + np.float32(0.25 * camera.light) * np.linspace(-1, 1, WIDTH, dtype=np.float32)[:, None]
    exposure = camera.gain * np.float32(rng.uniform(0.8, 1.2) / 255)
    scene = np.clip(np.asarray(picture) * (side * exposure), 0, 1)
    toned = np.clip(0.5 + camera.contrast * (scene**camera.gamma - 0.5), 0, 1)
    radius = camera.blur + (rng.uniform(0.3, 1.0) if rng.random() < 0.2 else 0)
    blurred = Image.fromarray((255 * toned).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    noise = rng.standard_normal((HEIGHT, WIDTH, 3), dtype=np.float32)
    return np.clip(np.asarray(blurred) + 5 * noise, 0, 255).astype(np.uint8)

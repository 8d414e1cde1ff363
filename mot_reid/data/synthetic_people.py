"""Synthetic people: who somebody is (clothes, build, hair, bag), and a picture of them in a pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]
View = Literal["front", "back", "left", "right"]
Top = Literal["short", "long", "jacket", "coat"]
Bottom = Literal["trousers", "shorts", "skirt", "dress"]
Hair = Literal["short", "long", "bun", "bald", "cap"]
Bag = Literal["none", "backpack", "shoulder", "hand"]
Pattern = Literal["plain", "stripes", "halves", "print"]

CLOTHES: tuple[Color, ...] = (
    (32, 34, 40),
    (225, 222, 214),
    (122, 124, 128),
    (150, 36, 40),
    (44, 70, 130),
    (52, 104, 66),
    (214, 178, 66),
    (196, 128, 150),
)
_LEGWEAR: tuple[Color, ...] = ((30, 32, 38), (54, 66, 98), (110, 112, 116), (146, 124, 92), (196, 190, 178))
_SHOES: tuple[Color, ...] = ((24, 24, 26), (220, 220, 218), (112, 72, 46), (160, 40, 40))
_SKIN: tuple[Color, ...] = ((238, 202, 176), (214, 168, 134), (164, 116, 84), (104, 70, 50))
_HAIR: tuple[Color, ...] = ((24, 20, 18), (66, 44, 30), (128, 88, 48), (196, 160, 96), (140, 138, 136))


@dataclass(frozen=True, slots=True)
class Person:
    """All that stays the same when somebody is seen again. Lengths are in units of the body's height."""

    skin: Color
    hair: Hair
    hair_color: Color
    top: Top
    top_color: Color
    second_color: Color
    pattern: Pattern
    bottom: Bottom
    bottom_color: Color
    shoes: Color
    bag: Bag
    bag_color: Color
    shoulder: float
    waist: float
    leg: float
    head: float


@dataclass(frozen=True, slots=True)
class Pose:
    """How somebody stands in one picture.

    Attributes:
        view: The side seen; left and right are where the person looks.
        phase: Of the stride, in radians.
        stride: Its length in units of the height.
        lift: How far one hand is raised, in units of the height.
    """

    view: View
    phase: float
    stride: float
    lift: float


def random_person(rng: np.random.Generator) -> Person:
    """Somebody; clothes come in few colours, so that several persons share them."""
    top_color, second, bag = (_vary(rng, CLOTHES[rng.integers(len(CLOTHES))]) for _ in range(3))
    build = rng.uniform(0.85, 1.2)
    return Person(
        skin=_vary(rng, _SKIN[rng.integers(len(_SKIN))]),
        hair=rng.choice(get_args(Hair), p=[0.4, 0.25, 0.12, 0.08, 0.15]),
        hair_color=_vary(rng, _HAIR[rng.integers(len(_HAIR))]),
        top=rng.choice(get_args(Top), p=[0.4, 0.25, 0.25, 0.1]),
        top_color=top_color,
        second_color=second,
        pattern=rng.choice(get_args(Pattern), p=[0.45, 0.2, 0.15, 0.2]),
        bottom=rng.choice(get_args(Bottom), p=[0.5, 0.22, 0.18, 0.1]),
        bottom_color=_vary(rng, _LEGWEAR[rng.integers(len(_LEGWEAR))]),
        shoes=_vary(rng, _SHOES[rng.integers(len(_SHOES))]),
        bag=rng.choice(get_args(Bag), p=[0.4, 0.25, 0.2, 0.15]),
        bag_color=bag,
        shoulder=0.115 * build * rng.uniform(0.93, 1.07),
        waist=0.09 * build * rng.uniform(0.85, 1.15),
        leg=rng.uniform(0.46, 0.52),
        head=rng.uniform(0.056, 0.064),
    )


def random_pose(rng: np.random.Generator) -> Pose:
    """Somebody walking or standing, seen from any side."""
    return Pose(
        view=rng.choice(get_args(View)),
        phase=rng.uniform(0, 2 * np.pi),
        stride=rng.choice([0.03, 0.12, 0.17]),
        lift=rng.uniform(0, 0.35) if rng.random() < 0.3 else 0.0,
    )


def draw_person(person: Person, pose: Pose, height: int) -> Image.Image:
    """The person alone, head to feet filling the picture's height.

    Args:
        person: Who.
        pose: How.
        height: Pixels of the picture; its width is 0.55 of that, and the body stands in the middle.

    Returns:
        An RGBA picture, transparent around the person.
    """
    picture = Image.new("RGBA", (round(0.55 * height), height))
    pen = _Pen(ImageDraw.Draw(picture), height, picture.width / 2, mirrored=pose.view == "left")
    _draw(pen, person, pose)
    return picture


def paste_person(canvas: Image.Image, figure: Image.Image, middle: float, feet: float) -> None:
    """Lay a synthetic person over `canvas`, in place, feet at (middle, feet) in pixels; the overhang is cut off."""
    canvas.paste(figure, (round(middle - figure.width / 2), round(feet) - figure.height), figure)


class _Pen:
    """Draws in body units: x from the middle, y from the top of the head, both in units of the height."""

    def __init__(self, draw: ImageDraw.ImageDraw, height: int, middle: float, *, mirrored: bool) -> None:
        self._draw = draw
        self._height = height
        self._middle = middle
        self._sign = -1 if mirrored else 1

    def _at(self, point: tuple[float, float]) -> tuple[float, float]:
        return self._middle + self._sign * point[0] * self._height, point[1] * self._height

    def polygon(self, points: list[tuple[float, float]], color: Color) -> None:
        self._draw.polygon([self._at(point) for point in points], fill=color)

    def ellipse(self, center: tuple[float, float], radius: tuple[float, float], color: Color) -> None:
        x, y = self._at(center)
        rx, ry = radius[0] * self._height, radius[1] * self._height
        self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=color)

    def limb(self, points: list[tuple[float, float]], width: float, color: Color) -> None:
        """A bent, round-ended stroke."""
        self._draw.line(
            [self._at(point) for point in points], fill=color, width=max(1, round(width * self._height)), joint="curve"
        )
        for point in (points[0], points[-1]):
            self.ellipse(point, (width / 2, width / 2), color)


def _draw(pen: _Pen, person: Person, pose: Pose) -> None:
    sideways = pose.view in ("left", "right")
    swing = pose.stride * np.sin(pose.phase)
    hip = 1 - person.leg
    if person.bag == "backpack" and pose.view == "front":
        _straps_or_bag(pen, person, pose, behind=True)
    _arm(pen, person, pose, side=-1, swing=swing, sideways=sideways, far=True)
    _leg(pen, person, side=-1, swing=-swing, hip=hip, sideways=sideways, far=True)
    _leg(pen, person, side=1, swing=swing, hip=hip, sideways=sideways, far=False)
    _torso(pen, person, pose, hip=hip)
    _straps_or_bag(pen, person, pose, behind=False)
    _arm(pen, person, pose, side=1, swing=-swing, sideways=sideways, far=False)
    if not sideways:
        _arm(pen, person, pose, side=-1, swing=swing, sideways=sideways, far=False)
    _head(pen, person, pose.view)


def _leg(pen: _Pen, person: Person, *, side: int, swing: float, hip: float, sideways: bool, far: bool) -> None:
    spread = 0.01 if sideways else 0.4 * person.waist
    reach = swing if sideways else 0.15 * swing
    lift = 0.0 if sideways else max(0.0, 0.25 * swing)
    top = (side * spread, hip)
    knee = (side * spread + 0.55 * reach + (0.02 if sideways else 0), hip + 0.48 * person.leg - lift / 2)
    ankle = (side * spread * 0.9 + reach, 0.96 - lift)
    shade = 0.8 if far else 1.0
    skin, cloth = _dim(person.skin, shade), _dim(person.bottom_color, shade)
    thick = 0.055 + 0.28 * person.waist
    if person.bottom == "trousers":
        pen.limb([top, knee, ankle], thick, cloth)
    else:
        pen.limb([top, knee, ankle], 0.72 * thick, skin)
    if person.bottom == "shorts":
        pen.limb([top, knee], 1.1 * thick, cloth)
    toe = 0.05 if sideways else 0.008
    pen.ellipse((ankle[0] + toe / 2, ankle[1] + 0.018), (0.026 + toe / 2, 0.02), _dim(person.shoes, shade))


def _torso(pen: _Pen, person: Person, pose: Pose, *, hip: float) -> None:
    narrow = 0.62 if pose.view in ("left", "right") else 1.0
    shoulder, waist = person.shoulder * narrow, person.waist * max(narrow, 0.75)
    top, hem = 0.155, hip + {"short": 0.02, "long": 0.02, "jacket": 0.05, "coat": 0.2}[person.top]
    cloth = person.top_color

    if person.bottom == "skirt":
        _band(pen, hip - 0.03, hip + 0.48 * person.leg, waist, waist * 1.7, person.bottom_color)
    if person.bottom == "dress":
        _band(pen, hip - 0.05, hip + 0.6 * person.leg, waist, waist * 1.8, cloth)
    _band(pen, hip - 0.02, hip + 0.035, waist, waist * 1.02, cloth if person.bottom == "dress" else person.bottom_color)

    def half_width(y: float) -> float:
        return float(
            np.interp(y, [top, top + 0.03, hip, max(hem, hip + 0.01)], [0.7 * shoulder, shoulder, waist, 1.1 * waist])
        )

    ys = [top, top + 0.03, 0.5 * (top + hip), hip, hem]
    pen.polygon([(-half_width(y), y) for y in ys] + [(half_width(y), y) for y in reversed(ys)], cloth)
    if person.pattern == "stripes":
        for y in np.arange(top + 0.04, hem - 0.01, 0.05):
            _band(pen, y, y + 0.022, half_width(y), half_width(y + 0.022), person.second_color)
    elif person.pattern == "halves":
        y = top + 0.16
        _band(pen, y, hem, half_width(y), half_width(hem), person.second_color)
    elif person.pattern == "print" and pose.view in ("front", "back"):
        size = 0.4 if pose.view == "front" else 0.6
        pen.ellipse((0, top + 0.13), (size * shoulder, 0.055), person.second_color)
    if person.top in ("jacket", "coat") and pose.view != "back":
        middle = 0.35 * shoulder if pose.view != "front" else 0.0
        _band(pen, top, hem, 0.2 * shoulder, 0.32 * waist, person.second_color, middle=middle)
    pen.polygon([(-0.03, 0.12), (0.03, 0.12), (0.035, 0.165), (-0.035, 0.165)], _dim(person.skin, 0.9))


def _arm(pen: _Pen, person: Person, pose: Pose, *, side: int, swing: float, sideways: bool, far: bool) -> None:
    shade = 0.78 if far else 0.93
    shoulder = (0.0 if sideways else side * (person.shoulder - 0.012), 0.185)
    reach = 1.1 * swing if sideways else 0.2 * swing
    out = 0.0 if sideways else side * 0.035
    raised = pose.lift if side == 1 else 0.0
    elbow = (shoulder[0] + out + 0.4 * reach, 0.335 - 0.3 * raised)
    hand = (shoulder[0] + 0.8 * out + reach + 0.3 * raised * (1 if sideways else -side), 0.475 - raised)
    sleeve = person.second_color if person.pattern == "halves" and person.top == "long" else person.top_color
    thick = 0.04 + 0.1 * person.shoulder
    pen.limb([shoulder, elbow, hand], 0.7 * thick, _dim(person.skin, shade))
    if person.top == "short":
        pen.limb(
            [shoulder, (0.5 * (shoulder[0] + elbow[0]), 0.5 * (shoulder[1] + elbow[1]))], thick, _dim(sleeve, shade)
        )
    else:
        end = (elbow[0] + 0.85 * (hand[0] - elbow[0]), elbow[1] + 0.85 * (hand[1] - elbow[1]))
        pen.limb([shoulder, elbow, end], thick, _dim(sleeve, shade))
    if person.bag == "hand" and side == 1:
        _band(pen, hand[1] + 0.01, hand[1] + 0.11, 0.045, 0.055, person.bag_color, middle=hand[0])


def _straps_or_bag(pen: _Pen, person: Person, pose: Pose, *, behind: bool) -> None:
    bag, shoulder = person.bag_color, person.shoulder
    if person.bag == "backpack":
        if pose.view == "front" and behind:
            _band(pen, 0.16, 0.4, 1.05 * shoulder, 1.1 * shoulder, _dim(bag, 0.8))
        elif pose.view == "front":
            for x in (-0.5 * shoulder, 0.5 * shoulder):
                pen.limb([(x, 0.16), (1.25 * x, 0.34)], 0.018, bag)
        elif pose.view == "back":
            _band(pen, 0.17, 0.42, 0.72 * shoulder, 0.8 * shoulder, bag)
            _band(pen, 0.31, 0.4, 0.5 * shoulder, 0.5 * shoulder, _dim(bag, 0.75))
        else:
            pen.ellipse((-0.75 * shoulder, 0.29), (0.6 * shoulder, 0.125), bag)
    elif person.bag == "shoulder":
        x = 0.3 * shoulder if pose.view in ("left", "right") else (-1 if pose.view == "back" else 1) * shoulder
        pen.limb([(-0.6 * x, 0.16), (x, 0.44)], 0.012, _dim(bag, 0.8))
        _band(pen, 0.43, 0.53, 0.055, 0.06, bag, middle=x)


def _head(pen: _Pen, person: Person, view: View) -> None:
    r = person.head
    center = (0.012 if view in ("left", "right") else 0.0, 0.012 + 1.1 * r)
    hair = person.hair_color
    if person.hair == "long":
        _band(pen, 0.03, 0.19, 0.95 * r, 1.05 * r, hair, middle=0.0 if view in ("front", "back") else -0.4 * r)
    if view == "back" and person.hair != "bald":
        pen.ellipse(center, (0.88 * r, 1.1 * r), hair)
    else:
        pen.ellipse(center, (0.82 * r, 1.1 * r), person.skin)
        if person.hair != "bald":
            back = (center[0] - (0.3 * r if view in ("left", "right") else 0), center[1] - 0.55 * r)
            pen.ellipse(back, (0.85 * r, 0.62 * r), hair)
        if view == "front":
            for x in (-0.32 * r, 0.32 * r):
                pen.ellipse((x, center[1] + 0.05 * r), (0.09 * r, 0.09 * r), (30, 26, 24))
    if person.hair == "bun":
        pen.ellipse((-1.0 * r if view in ("left", "right") else 0.0, 0.012 + 0.1 * r), (0.42 * r, 0.42 * r), hair)
    if person.hair == "cap":
        pen.ellipse((center[0], center[1] - 0.6 * r), (0.95 * r, 0.6 * r), person.bag_color)
        if view != "back":
            brim = 0.9 * r if view != "front" else 0.0
            pen.ellipse((center[0] + brim, center[1] - 0.3 * r), (0.7 * r, 0.16 * r), _dim(person.bag_color, 0.8))


def _band(pen: _Pen, y1: float, y2: float, half1: float, half2: float, color: Color, *, middle: float = 0.0) -> None:
    """A trapezium between two heights."""
    pen.polygon([(middle - half1, y1), (middle + half1, y1), (middle + half2, y2), (middle - half2, y2)], color)


def _dim(color: Color, factor: float) -> Color:
    red, green, blue = (int(channel * factor) for channel in color)
    return red, green, blue


def _vary(rng: np.random.Generator, color: Color) -> Color:
    red, green, blue = (int(channel) for channel in np.clip(np.array(color) + rng.normal(0, 9, 3), 0, 255))
    return red, green, blue

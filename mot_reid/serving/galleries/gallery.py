"""Known people: enrolled by name, found again by embedding, and forgotten for good.

A SQLite file, or PostgreSQL where several servers share it, holds who there is and the embeddings. Every write is one
transaction under the database's write lock, so that threads, processes and servers may use it together, and one that
dies leaves the state before or after. After somebody was forgotten, the rows are written anew without them.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.serving.database import Rows
from mot_reid.serving.folder import random_id
from mot_reid.serving.galleries.database import GalleryDatabase
from mot_reid.serving.galleries.embeddings import BYTES, Float32Array, from_bytes, read_file, to_bytes, unit_vectors
from mot_reid.serving.galleries.index import GalleryIndices
from mot_reid.serving.galleries.shared import SharedGalleryDatabase
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.serving import Limits

_GALLERY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NAME_LETTERS = 100
_JOINER = "\u200d"  # of several scripts, and of emoji
_LINE_ENDS = ("Zl", "Zp")
_NO_GALLERY = "gallery: there is none of that name; enrol somebody to make it"
_NOTED_SECONDS = 3600.0
_DAY_SECONDS = 86400.0

_COLUMNS = f"""id, persons.name, crops, enrolled, seen, length(embedding) != {BYTES} * crops * dimension"""
_PERSONS = f"SELECT {_COLUMNS} FROM persons JOIN galleries ON gallery = galleries.name"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known.

    Attributes:
        id: random letters.
        name: as enrolled.
        crops: how many embeddings are kept.
        enrolled: when the last of them came, in seconds since 1970.
        seen: when the person was last enrolled or recognised, to the hour.
        damaged: whether embeddings are lost; the person is not found until deleted and enrolled again.
    """

    id: str
    name: str
    crops: int
    enrolled: float
    seen: float
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A person of the gallery with an embedding.

    Attributes:
        person: who.
        similarity: the largest cosine similarity to an embedding of that person.
    """

    person: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Who an embedding shows.

    Attributes:
        person: the most similar one, if similar enough; None for nobody who is known.
        threshold: the similarity that is enough.
        matches: the most similar people, the best first, similar enough or not.
    """

    person: Person | None
    threshold: float
    matches: tuple[Match, ...]


class Galleries:
    """Galleries of known people in a folder. Safe to call from any thread.

    Args:
        folder: of the galleries; made where it is missing.
        limits: how many galleries, persons and crops there may be, and for how long.
        database: address of the database in which several servers share them; None: they are in the folder.
    """

    def __init__(self, folder: Path, limits: Limits, *, database: str | None = None) -> None:
        self._limits = limits
        self._indices = GalleryIndices()
        self._database = _in_folder(folder) if database is None else SharedGalleryDatabase(database)
        self.sweep()

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def names(self) -> dict[str, int]:
        """Returns the number of persons in each gallery, by name."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT galleries.name, count(persons.id) FROM galleries LEFT JOIN persons ON gallery = galleries.name "
                "GROUP BY galleries.name ORDER BY galleries.name"
            )
            return dict(found.fetchall())

    def persons(self, gallery: str) -> list[Person]:
        """Returns the persons of a gallery, by name.

        Raises:
            Refusal: there is no such gallery.
        """
        with self._database.reading() as rows:
            _find(rows, gallery)
            found = rows.execute(f"{_PERSONS} WHERE gallery = ? ORDER BY persons.name", (gallery,))
            return [_person(row) for row in found]

    def enrol(self, gallery: str, name: str, embedding: Float32Array, *, model: str) -> Person:
        """Adds embeddings to a person, who is made where unknown, as is the gallery.

        Args:
            gallery: small letters, digits, - and _.
            name: of the person, up to 100 letters of any script.
            embedding: `(K, D)` vectors of unit length.
            model: what they come from; all of a gallery come from one.

        Raises:
            Refusal: a name is none, the vectors are of another model, or there would be too many.
        """
        name, added = _person_name(name), unit_vectors(embedding)
        now = time.time()
        with self._writing() as rows:
            self._make(rows, gallery, model=model, dimension=added.shape[1])
            known = rows.execute(
                "SELECT id, crops, embedding FROM persons WHERE gallery = ? AND name = ?", (gallery, name)
            ).fetchone()
            if known is None:
                _check_count(rows, "persons", "gallery", self._limits.persons, "persons WHERE gallery = ?", (gallery,))
            kept = added
            if known is not None:
                stored = _kept(name, crops=known[1], stored=known[2], dimension=added.shape[1])
                kept = np.concatenate((stored, added))
            if len(kept) > self._limits.crops:
                raise Refusal(
                    "conflict",
                    f"person: would have {len(kept)} crops; expected at most {self._limits.crops}; "
                    "delete the person and enrol the best ones",
                )
            id = random_id() if known is None else known[0]
            rows.execute(
                "INSERT INTO persons (id, gallery, name, crops, embedding, enrolled, seen) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "crops = excluded.crops, embedding = excluded.embedding, enrolled = excluded.enrolled, "
                "seen = excluded.seen",
                (id, gallery, name, len(kept), to_bytes(kept), now, now),
            )
        return Person(id, name, len(kept), now, now)

    def search(self, gallery: str, embedding: Float32Array, *, model: str, threshold: float, most: int = 5) -> Answer:
        """Returns who an embedding shows, which may be nobody.

        Args:
            gallery: its name.
            embedding: `(D,)` of unit length.
            model: what it comes from.
            threshold: the least similarity of the same person.
            most: how many matches are returned.

        Raises:
            Refusal: there is no such gallery, or it is of another model.
        """
        asked = unit_vectors(np.asarray(embedding)[None])[0]
        with self._database.reading() as rows:
            _check_model(_find(rows, gallery), model=model, dimension=len(asked))
            index = self._indices.of(gallery, rows, version=self._database.version(rows))
            if not index.number:
                return Answer(None, threshold, ())
            similarity = np.maximum.reduceat(index.embedding @ asked, index.first)
            best = np.argsort(-similarity, kind="stable")[:most]
            matches = tuple(
                Match(_person_of(rows, index.number[place]), min(float(similarity[place]), 1.0)) for place in best
            )
        found = matches[0].person if matches and matches[0].similarity >= threshold else None
        if found is not None and time.time() - found.seen > _NOTED_SECONDS:
            with self._writing() as rows:
                rows.execute("UPDATE persons SET seen = ? WHERE id = ?", (time.time(), found.id))
        return Answer(found, threshold, matches)

    def rename(self, gallery: str, id: str, name: str) -> Person:
        """Gives a person another name, and returns the person.

        Raises:
            Refusal: there is no such person, the name is none, or another one has it.
        """
        name = _person_name(name)
        with self._writing(forgetting=True) as rows:
            if not rows.execute("SELECT 1 FROM persons WHERE gallery = ? AND id = ?", (gallery, id)).fetchone():
                raise _nobody()
            others = "SELECT 1 FROM persons WHERE gallery = ? AND name = ? AND id != ?"
            if rows.execute(others, (gallery, name, id)).fetchone():
                raise Refusal("conflict", "name: another person of this gallery has it; choose another")
            rows.execute("UPDATE persons SET name = ? WHERE id = ?", (name, id))
            row = rows.execute(f"{_PERSONS} WHERE id = ?", (id,)).fetchone()
        self._database.wipe()
        return _person(row)

    def delete_person(self, gallery: str, id: str) -> None:
        """Forgets a person: name and embeddings are overwritten on disk.

        Raises:
            Refusal: there is no such person.
        """
        self._delete("gallery = ? AND id = ?", (gallery, id))

    def delete_gallery(self, gallery: str) -> None:
        """Forgets a gallery with everybody in it.

        Raises:
            Refusal: there is no such gallery.
        """
        with self._writing(forgetting=True) as rows:
            if not rows.execute("DELETE FROM galleries WHERE name = ?", (gallery,)).rowcount:
                raise Refusal("not_found", _NO_GALLERY)
            self._indices.forget(gallery)
        self._database.wipe()

    def sweep(self) -> None:
        """Forgets persons who were not seen for long enough.

        Raises:
            Refusal: somebody else uses the file for too long, or the disk is full or fails.
        """
        if self._limits.person_days is not None:
            long_ago = time.time() - self._limits.person_days * _DAY_SECONDS
            with self._database.reading() as rows:
                unseen = rows.execute("SELECT count(*) FROM persons WHERE seen < ?", (long_ago,)).fetchone()[0]
            if unseen:
                self._delete("seen < ?", (long_ago,))
        self._database.wipe()

    # ---- inside -------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, *, forgetting: bool = False) -> Iterator[Rows]:
        with self._database.writing(forgetting=forgetting) as rows:
            yield rows
            self._indices.clear()

    def _delete(self, where: str, values: tuple[Any, ...]) -> None:
        """Forgets persons; nothing is written where there is none."""
        with self._writing(forgetting=True) as rows:
            if not rows.execute(f"DELETE FROM persons WHERE {where}", values).rowcount:
                raise _nobody()
        self._database.wipe()

    def _make(self, rows: Rows, gallery: str, *, model: str, dimension: int) -> None:
        """Makes a gallery where there is none of that name; checks that the one there is of this model."""
        found = _look_up(rows, gallery)
        if found is not None:
            _check_model(found, model=model, dimension=dimension)
            return
        if not _GALLERY_NAME.fullmatch(gallery):
            raise Refusal("invalid", "gallery: expected a name of small letters, digits, - and _, 64 at most")
        _check_count(rows, "galleries", "server", self._limits.galleries, "galleries", ())
        rows.execute("INSERT INTO galleries (name, model, dimension) VALUES (?, ?, ?)", (gallery, model, dimension))


def _in_folder(folder: Path) -> GalleryDatabase:
    folder.mkdir(parents=True, exist_ok=True)
    database = GalleryDatabase(folder / "galleries.sqlite", lambda name: read_file(folder / name))
    for file in folder.glob("*.npz*"):  # of the first version, whose contents are in the database now
        file.unlink(missing_ok=True)
    return database


def _look_up(rows: Rows, gallery: str) -> tuple[str, int] | None:
    """Returns model and dimension of a gallery."""
    found: tuple[str, int] | None = rows.execute(
        "SELECT model, dimension FROM galleries WHERE name = ?", (gallery,)
    ).fetchone()
    return found


def _find(rows: Rows, gallery: str) -> tuple[str, int]:
    found = _look_up(rows, gallery)
    if found is None:
        raise Refusal("not_found", _NO_GALLERY)
    return found


def _check_model(found: tuple[str, int], *, model: str, dimension: int) -> None:
    if found != (model, dimension):
        raise Refusal(
            "conflict",
            f"gallery: it holds embeddings of another model, {_told(*found)}; expected those of the server's model, "
            f"{_told(model, dimension)}; choose another gallery, delete it and enrol again, or start the server "
            "with the other model as reid=",
        )


def _told(model: str, dimension: int) -> str:
    """Returns a model as a user knows it, and of models of one name which it is."""
    name, _, digest = model.rpartition("@")
    return f"'{name or model}' ({digest[:8] + ', ' if name else ''}{dimension} numbers each)"


def _check_count(rows: Rows, what: str, where: str, most: int, table: str, values: tuple[Any, ...]) -> None:
    if rows.execute(f"SELECT count(*) FROM {table}", values).fetchone()[0] >= most:
        raise Refusal("conflict", f"{what}: the {where} has {most} already, which is the limit; delete some")


def _person_of(rows: Rows, number: int) -> Person:
    return _person(rows.execute(f"{_PERSONS} WHERE number = ?", (number,)).fetchone())


def _person(row: tuple[Any, ...]) -> Person:
    id, name, crops, enrolled, seen, damaged = row
    return Person(id, name, crops, enrolled, seen, bool(damaged))


def _kept(name: str, *, crops: int, stored: bytes, dimension: int) -> Float32Array:
    """Returns the embeddings that are known of a person."""
    kept = from_bytes(stored, crops=crops, dimension=dimension)
    if kept is None:
        raise Refusal("conflict", f"person: the embeddings of '{name}' are damaged; delete this person and enrol again")
    return kept


def _person_name(name: str) -> str:
    """Returns the name in one spelling, without space around it."""
    name = unicodedata.normalize("NFC", name).strip()
    kinds = [unicodedata.category(letter) for letter in name.replace(_JOINER, "")]
    if not kinds or len(name) > _NAME_LETTERS or any(kind[0] == "C" or kind in _LINE_ENDS for kind in kinds):
        raise Refusal("invalid", f"name: expected 1 to {_NAME_LETTERS} letters, without control characters")
    return name


def _nobody() -> Refusal:
    return Refusal("not_found", "person: there is nobody of that id in this gallery")

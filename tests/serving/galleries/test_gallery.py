"""Galleries of known people: who is found, who is not, and what is left of those who are deleted."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mot_reid.serving.galleries.gallery import Galleries
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.load import ROOT, load_settings
from mot_reid.settings.serving import Limits, ServeSettings

LIMITS: Limits = load_settings(ServeSettings, [], base="serve").limits
X, Y, Z = np.eye(3, dtype=np.float32)


def at(cosine: float) -> np.ndarray:
    """A unit vector in the plane of X and Y, of that cosine similarity to X."""
    return np.array([cosine, np.sqrt(1 - cosine**2), 0], np.float32)


@pytest.fixture
def galleries(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Galleries]:
    kept_in = getattr(request, "param", "SQLite")
    database = None if kept_in == "SQLite" else request.getfixturevalue("postgres").database()
    opened = Galleries(tmp_path / "g", LIMITS, database=database)
    yield opened
    opened.close()


both = pytest.mark.parametrize("galleries", ["SQLite", "PostgreSQL"], indirect=True)


def enrol(galleries: Galleries, name: str, *rows: np.ndarray, gallery: str = "staff", model: str = "m") -> str:
    return galleries.enrol(gallery, name, np.array(rows), model=model).id


def search(galleries: Galleries, embedding: np.ndarray, *, threshold: float = 0.6, gallery: str = "staff"):  # type: ignore[no-untyped-def]
    return galleries.search(gallery, embedding, model="m", threshold=threshold)


# Finding


@both
def test_best_crop_of_a_person_counts(galleries: Galleries) -> None:
    """Ada at cosines 0.8 and 0.1 to the question, Bob at 0.7 and 0.7: Ada, though Bob's mean is higher."""
    enrol(galleries, "Ada", at(0.8), at(0.1))
    enrol(galleries, "Bob", at(0.7), at(0.7))
    answer = search(galleries, X)
    assert answer.person is not None and answer.person.name == "Ada"
    assert [match.person.name for match in answer.matches] == ["Ada", "Bob"]
    assert [match.similarity for match in answer.matches] == pytest.approx([0.8, 0.7], abs=1e-6)


@both
def test_nobody_is_an_answer(galleries: Galleries) -> None:
    enrol(galleries, "Ada", at(0.59))
    answer = search(galleries, X, threshold=0.6)
    assert answer.person is None and answer.matches[0].person.name == "Ada"
    assert search(galleries, X, threshold=0.58).person is not None


@both
def test_gallery_without_people_knows_nobody(galleries: Galleries) -> None:
    galleries.delete_person("staff", enrol(galleries, "Ada", X))
    answer = search(galleries, X)
    assert (answer.person, answer.matches) == (None, ())


@both
def test_galleries_do_not_mix(galleries: Galleries) -> None:
    enrol(galleries, "Ada", X, gallery="a")
    enrol(galleries, "Bob", X, gallery="b")
    found = search(galleries, X, gallery="b").person
    assert found is not None and found.name == "Bob"
    assert galleries.names() == {"a": 1, "b": 1}


@both
def test_further_crops_join_those_before(galleries: Galleries) -> None:
    first = enrol(galleries, "Ada", X)
    second = galleries.enrol("staff", " Ada ", np.array([Z]), model="m")
    assert (second.id, second.crops) == (first, 2)
    for vector in (X, Z):
        assert search(galleries, vector).matches[0].similarity == pytest.approx(1)


def test_people_are_there_after_a_restart(galleries: Galleries, tmp_path: Path) -> None:
    enrol(galleries, "Zoë 渡辺", X)
    again = Galleries(tmp_path / "g", LIMITS)
    found = search(again, X).person
    again.close()
    assert found is not None and found.name == "Zoë 渡辺"


def test_two_who_hold_one_folder_see_each_others_changes(galleries: Galleries, tmp_path: Path) -> None:
    other = Galleries(tmp_path / "g", LIMITS)
    enrol(galleries, "Ada", X)
    assert search(other, X).person is not None
    id = enrol(other, "Bob", Y)
    assert search(galleries, Y).person.name == "Bob"
    galleries.delete_person("staff", id)
    assert search(other, Y).person is None
    other.close()


def test_who_is_recognised_counts_as_seen(galleries: Galleries, tmp_path: Path) -> None:
    enrol(galleries, "Ada", X)
    enrol(galleries, "Bob", Y)
    _age(tmp_path, days=89)
    search(galleries, X)
    _age(tmp_path, days=2)
    galleries.sweep()
    assert [person.name for person in galleries.persons("staff")] == ["Ada"]


def _age(tmp_path: Path, *, days: float) -> None:
    with sqlite3.connect(tmp_path / "g" / "galleries.sqlite") as database:
        database.execute("UPDATE persons SET seen = seen - ?", (days * 86400,))
    database.close()


# Forgetting


def test_nothing_of_a_deleted_person_is_on_disk(galleries: Galleries, tmp_path: Path) -> None:
    """Neither the name nor the numbers of the embedding, in any file; another person's stay."""
    secret = (np.arange(1, 65) / np.linalg.norm(np.arange(1, 65))).astype(np.float32)
    other = secret[::-1].copy()
    id = enrol(galleries, "Unforgettable", secret, gallery="x")
    enrol(galleries, "Staying", other, gallery="x")

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / "g").iterdir())

    assert b"Unforgettable" in everything() and secret.tobytes() in everything()
    galleries.delete_person("x", id)
    assert b"Unforgettable" not in everything() and secret.tobytes() not in everything()
    assert b"Staying" in everything() and other.tobytes() in everything()
    galleries.delete_gallery("x")
    assert b"Staying" not in everything() and other.tobytes() not in everything()


def test_former_name_is_not_on_disk(galleries: Galleries, tmp_path: Path) -> None:
    id = enrol(galleries, "Maidenname", X)
    assert galleries.rename("staff", id, "Newname").name == "Newname"
    database = (tmp_path / "g" / "galleries.sqlite").read_bytes()
    assert b"Maidenname" not in database and b"Newname" in database


@pytest.mark.parametrize("seed", [5, 6])
def test_no_copy_of_a_forgotten_name_stays_where_rows_were_moved(
    galleries: Galleries, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's secure_delete alone fails this with these seeds: rows that move between pages leave copies behind."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    rng = random.Random(seed)
    alive: dict[str, str] = {}
    gone: set[str] = set()
    file = tmp_path / "g" / "galleries.sqlite"
    for number in range(220):
        name = f"Secret{number:04d}" + "x" * rng.randint(0, 80)
        chosen = rng.choice(sorted(alive)) if alive and rng.random() > 0.6 else None
        if chosen is None:
            alive[name] = enrol(galleries, name, X)
        else:
            id = alive.pop(chosen)
            gone.add(chosen[:10])
            if rng.random() < 0.5:
                galleries.delete_person("staff", id)
            else:
                alive[galleries.rename("staff", id, name).name] = id
            left = file.read_bytes()
            assert not [name for name in gone if name.encode() in left]
    assert len(gone) > 50 and all(name.encode() in file.read_bytes() for name in alive)


def pending(path: Path) -> int:
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT pending FROM wiping").fetchone()[0]
    database.close()
    return int(found)


def test_what_a_process_died_over_is_wiped_at_the_next_start(tmp_path: Path) -> None:
    """A process that deletes and dies before it writes the rows anew; the flag of the file says so to the next."""
    path = tmp_path / "g" / "galleries.sqlite"
    galleries = Galleries(path.parent, LIMITS)
    enrol(galleries, "Ada", X)
    with galleries._database.writing(forgetting=True) as rows:
        rows.execute("DELETE FROM persons")
    galleries.close()
    assert pending(path) > 0
    Galleries(path.parent, LIMITS).close()
    assert pending(path) == 0


# Refusing


@pytest.mark.parametrize("name", ["", "   ", "a" * 101, "line\nbreak", "null\x00", "bell\x07", "\u202eoverride"])
def test_name_that_is_none_is_refused(galleries: Galleries, name: str) -> None:
    with pytest.raises(Refusal, match="name: expected 1 to 100 letters"):
        enrol(galleries, name, X)


@pytest.mark.parametrize("gallery", ["", "..", "a/b", "UPPER", "a" * 65, "-a", "a\n"])
def test_gallery_name_that_is_none_is_refused(galleries: Galleries, gallery: str) -> None:
    with pytest.raises(Refusal, match="gallery: expected a name of small letters"):
        enrol(galleries, "Ada", X, gallery=gallery)


@both
def test_embeddings_of_another_model_are_refused(galleries: Galleries) -> None:
    enrol(galleries, "Ada", X)
    for vector, model in ((X, "other"), (np.eye(4, dtype=np.float32)[0], "m")):
        with pytest.raises(Refusal, match="another model"):
            enrol(galleries, "Bob", vector, model=model)
        with pytest.raises(Refusal, match="another model"):
            galleries.search("staff", vector, model=model, threshold=0.5)


def test_refusal_of_embeddings_of_another_model_names_both(galleries: Galleries) -> None:
    """Both bundled models give 128 numbers: sizes alone would not say what is wrong."""
    galleries.enrol("staff", "Ada", X[None], model="osnet_x0_25_taught@0123456789")
    message = (
        r"another model, 'osnet_x0_25_taught' \(01234567, 3 numbers each\); expected those of the server's model, "
        r"'osnet_x0_25_cameras' \(98765432, 3 numbers each\); .* reid="
    )
    with pytest.raises(Refusal, match=message):
        galleries.search("staff", X, model="osnet_x0_25_cameras@9876543210", threshold=0.5)


@pytest.mark.parametrize("rows", [np.zeros((1, 3)), 2 * X[None], np.full((1, 3), np.nan), np.zeros((0, 3)), X])
def test_vector_that_is_no_unit_vector_is_refused(galleries: Galleries, rows: np.ndarray) -> None:
    with pytest.raises(Refusal, match="unit length"):
        galleries.enrol("staff", "Ada", rows, model="m")


@both
def test_unknown_gallery_and_person_are_told_apart(galleries: Galleries) -> None:
    enrol(galleries, "Ada", X)
    for call in (lambda: galleries.persons("x"), lambda: search(galleries, X, gallery="x")):
        with pytest.raises(Refusal, match="gallery: there is none"):
            call()
    with pytest.raises(Refusal, match="gallery: there is none"):
        galleries.delete_gallery("x")
    with pytest.raises(Refusal, match="person: there is nobody"):
        galleries.delete_person("staff", "x")
    with pytest.raises(Refusal, match="person: there is nobody"):
        galleries.rename("staff", "x", "Bob")


@both
def test_taken_name_is_refused(galleries: Galleries) -> None:
    enrol(galleries, "Ada", X)
    id = enrol(galleries, "Bob", Y)
    with pytest.raises(Refusal, match="another person of this gallery has it"):
        galleries.rename("staff", id, "Ada")
    assert [person.name for person in galleries.persons("staff")] == ["Ada", "Bob"]


def test_limits_are_kept(tmp_path: Path) -> None:
    small = Galleries(tmp_path / "g", replace(LIMITS, galleries=1, persons=2, crops=2))
    enrol(small, "Ada", X, Y)
    with pytest.raises(Refusal, match="would have 3 crops; expected at most 2"):
        enrol(small, "Ada", Z)
    enrol(small, "Bob", X)
    with pytest.raises(Refusal, match="persons: the gallery has 2 already"):
        enrol(small, "Cyd", X)
    with pytest.raises(Refusal, match="galleries: the server has 1 already"):
        enrol(small, "Ada", X, gallery="other")
    assert small.names() == {"staff": 2}
    small.close()


def test_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "galleries.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ValueError, match="expected a database of this server; move it away"):
        Galleries(tmp_path, LIMITS)


def test_gallery_in_use_is_a_sentence_and_works_again(
    galleries: Galleries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(galleries, "Ada", X)
    galleries._database._file.connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "g" / "galleries.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for call in (lambda: enrol(galleries, "Bob", Y), lambda: search(galleries, X), galleries.sweep):
        with pytest.raises(Refusal, match="others are using it"):
            call()
    other.execute("ROLLBACK")
    other.execute("BEGIN")  # a reader, who keeps the writer from ending its transaction
    other.execute("SELECT * FROM persons").fetchall()
    with pytest.raises(Refusal, match="others are using it"):
        enrol(galleries, "Bob", Y)
    other.close()
    enrol(galleries, "Bob", Y)
    assert [person.name for person in galleries.persons("staff")] == ["Ada", "Bob"]


@pytest.mark.parametrize("damage", ["substr(embedding, 1, 7)", "zeroblob(length(embedding))", "x''"])
def test_damaged_row_names_the_person_and_all_others_are_found(
    galleries: Galleries, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    enrol(galleries, "Ada", X)
    id = enrol(galleries, "Bob", Y, Z)
    enrol(galleries, "Cyd", Y)
    with sqlite3.connect(tmp_path / "g" / "galleries.sqlite") as database:
        database.execute(f"UPDATE persons SET embedding = {damage} WHERE id = ?", (id,))
    database.close()
    assert [match.person.name for match in search(galleries, Y).matches] == ["Cyd", "Ada"]
    assert [record.__dict__["person"] for record in caplog.records] == [id]
    truncated = not damage.startswith("zero")
    assert [person.damaged for person in galleries.persons("staff")] == [False, truncated, False]
    with pytest.raises(Refusal, match="the embeddings of 'Bob' are damaged; delete this person"):
        enrol(galleries, "Bob", Y)
    galleries.delete_person("staff", id)
    enrol(galleries, "Bob", Z)
    assert search(galleries, Z).person.name == "Bob"


def old_folder(folder: Path, people: dict[str, np.ndarray | None]) -> None:
    """What the first version wrote: a file of embeddings for each person; None for one that is damaged."""
    folder.mkdir()
    database = sqlite3.connect(folder / "galleries.sqlite")
    for statement in (
        "CREATE TABLE galleries (name TEXT PRIMARY KEY, model TEXT NOT NULL, dimension INTEGER NOT NULL) STRICT",
        "CREATE TABLE persons (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, gallery TEXT NOT NULL"
        " REFERENCES galleries (name) ON DELETE CASCADE, name TEXT NOT NULL, crops INTEGER NOT NULL, file TEXT NOT NULL"
        ", enrolled REAL NOT NULL, seen REAL NOT NULL, UNIQUE (gallery, name)) STRICT",
        "INSERT INTO galleries VALUES ('staff', 'm', 3)",
        "PRAGMA user_version = 7",  # somebody was forgotten, and the process died over it
    ):
        database.execute(statement)
    for number, (name, rows) in enumerate(people.items()):
        file, now = f"{chr(97 + number) * 24}.npz", time.time()
        database.execute(
            "INSERT INTO persons (id, gallery, name, crops, file, enrolled, seen) VALUES (?, 'staff', ?, ?, ?, ?, ?)",
            (file[:24], name, 1 if rows is None else len(rows), file, now, now),
        )
        if rows is None:
            (folder / file).write_bytes(b"PK no archive at all")
        else:
            np.savez(folder / file, embedding=rows)
    database.commit()
    database.close()


def test_folder_of_the_first_version_is_taken_in(tmp_path: Path) -> None:
    """Everybody is found again, a damaged file costs its person only, and no file of the old kind stays."""
    folder = tmp_path / "g"
    old_folder(folder, {"Ada": np.array([X, at(0.8)]), "Bob": None, "Cyd": np.array([Y])})
    (folder / "half.npz.part").write_bytes(b"half")
    for _ in range(2):
        galleries = Galleries(folder, LIMITS)
        assert [(p.name, p.crops, p.damaged) for p in galleries.persons("staff")] == [
            ("Ada", 2, False), ("Bob", 1, True), ("Cyd", 1, False),
        ]  # fmt: skip
        assert search(galleries, X).person.name == "Ada" and search(galleries, Y).person.name == "Cyd"
        galleries.close()
    assert [path.name for path in folder.iterdir()] == ["galleries.sqlite"]
    assert pending(folder / "galleries.sqlite") == 0


def test_database_of_a_newer_program_is_a_sentence(tmp_path: Path) -> None:
    Galleries(tmp_path, LIMITS).close()
    with sqlite3.connect(tmp_path / "galleries.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ValueError, match=r"galleries: got galleries.sqlite .*version 99 is from a newer mot_reid"):
        Galleries(tmp_path, LIMITS)


# Together


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enrol", "delete", "rename", "reopen", "search"]),
            st.sampled_from("abc"),
            st.sampled_from("abc"),
            st.integers(0, 7),
        ),
        max_size=14,
    )
)
def test_any_order_of_calls_gives_what_a_dictionary_gives(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, str, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("g")
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) / np.sqrt(3)
    known: dict[str, list[np.ndarray]] = {}
    opened = Galleries(folder, LIMITS)
    try:
        for call, name, other, corner in calls:
            ids = {person.name: person.id for person in opened.persons("g")} if "g" in opened.names() else {}
            if call == "enrol":
                enrol(opened, name, corners[corner], gallery="g")
                known.setdefault(name, []).append(corners[corner])
            elif call == "delete" and name in known:
                opened.delete_person("g", ids[name])
                del known[name]
            elif call == "rename" and name in known and other not in known:
                opened.rename("g", ids[name], other)
                known[other] = known.pop(name)
            elif call == "reopen":
                opened.close()
                opened = Galleries(folder, LIMITS)
            elif call == "search" and ids:
                answer = search(opened, corners[corner], gallery="g", threshold=0.9)
                best = {who: max(float(row @ corners[corner]) for row in rows) for who, rows in known.items()}
                assert {m.person.name: round(m.similarity, 5) for m in answer.matches} == {
                    who: round(value, 5) for who, value in best.items()
                }
                assert (answer.person is not None) == (max(best.values()) >= 0.9)
        there = {person.name: person.crops for person in opened.persons("g")} if "g" in opened.names() else {}
        assert there == {name: len(rows) for name, rows in known.items()}
    finally:
        opened.close()


def test_threads_lose_nobody(galleries: Galleries) -> None:
    def work(number: int) -> None:
        for step in range(8):
            enrol(galleries, f"{number}-{step}", at(0.1 * number))
            search(galleries, X)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(galleries.persons("staff")) == 32


_ENROL_FOR_EVER = """
import sys
import numpy as np
from pathlib import Path
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings
from mot_reid.serving.galleries.gallery import Galleries

galleries = Galleries(Path(sys.argv[1]), load_settings(ServeSettings, [], base="serve").limits)
for number in range(1, 10_000):
    galleries.enrol("g", f"person {number % 7}", np.eye(3, dtype=np.float32)[:1], model="m")
    if number % 5 == 0:
        galleries.delete_person("g", galleries.persons("g")[0].id)
    print(number, flush=True)
"""


@pytest.mark.parametrize("wait", [0.0, 0.013, 0.031])
def test_process_that_is_killed_leaves_a_sound_gallery(tmp_path: Path, wait: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _ENROL_FOR_EVER, str(tmp_path / "g")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    for _ in range(12):
        process.stdout.readline()
    time.sleep(wait)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    galleries = Galleries(tmp_path / "g", LIMITS)
    people = galleries.persons("g")
    assert search(galleries, X, gallery="g").matches[0].similarity == pytest.approx(1)
    assert people
    galleries.close()

"""Galleries that several servers share in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mot_reid.serving.galleries.gallery import Galleries
from mot_reid.serving.refusal import Refusal
from tests.helpers.postgres import Postgres
from tests.serving.galleries.test_gallery import LIMITS, X, Y, enrol, search


@pytest.fixture
def two(postgres: Postgres, tmp_path: Path) -> Iterator[tuple[Galleries, Galleries]]:
    """The galleries of two servers."""
    address = postgres.database()
    opened = tuple(Galleries(tmp_path / "g", LIMITS, database=address) for _ in range(2))
    yield opened  # type: ignore[misc]
    for galleries in opened:
        galleries.close()
    assert not (tmp_path / "g").exists()


def test_servers_see_each_others_people(two: tuple[Galleries, Galleries]) -> None:
    one, other = two
    ada, bob = enrol(one, "Ada", X), enrol(other, "Bob", Y)
    assert search(one, Y).person.name == "Bob" and search(other, X).person.name == "Ada"
    assert one.rename("staff", bob, "Zoë 渡辺").name == "Zoë 渡辺"
    assert [person.name for person in other.persons("staff")] == ["Ada", "Zoë 渡辺"]
    other.delete_person("staff", ada)
    assert search(one, X).person is None
    other.delete_gallery("staff")
    assert one.names() == {} and other.names() == {}


def test_limits_hold_for_all_servers_together(postgres: Postgres, tmp_path: Path) -> None:
    address, limits = postgres.database(), replace(LIMITS, persons=5)
    opened = [Galleries(tmp_path, limits, database=address) for _ in range(4)]
    enrol(opened[0], "Ada", X)
    refused: list[str] = []

    def work(galleries: Galleries, number: int) -> None:
        for turn in range(4):
            try:
                enrol(galleries, f"{number} {turn}", Y)
            except Refusal as refusal:
                refused.append(refusal.kind)

    threads = [threading.Thread(target=work, args=(one, n)) for n, one in enumerate(opened)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened[0].names() == {"staff": 5} and refused == ["conflict"] * 12
    for galleries in opened:
        galleries.close()


def test_nothing_of_a_deleted_person_is_in_the_tables(two: tuple[Galleries, Galleries], postgres: Postgres) -> None:
    """Neither the name nor the numbers, in any file of the database's tables; its log is another matter."""
    secret = (np.arange(1, 65) / np.linalg.norm(np.arange(1, 65))).astype(np.float32)
    one, other = two
    id = enrol(one, "Unforgettable", secret)
    enrol(one, "Staying", secret[::-1].copy())

    def everything() -> bytes:
        with one._database._database.alone() as rows:  # type: ignore[union-attr]
            rows.execute("CHECKPOINT")
            folder = postgres.folder / "data" / "base" / str(
                rows.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()[0]
            )  # fmt: skip
        return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())

    assert b"Unforgettable" in everything() and secret.tobytes() in everything()
    other.delete_person("staff", id)
    left = everything()
    assert b"Unforgettable" not in left and secret.tobytes() not in left and b"Staying" in left

"""Who may ask, and how often."""

from __future__ import annotations

import base64
from collections import Counter

import pytest

from mot_reid.serving.http.admission import Admission, Rate
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_client_may_ask_as_often_as_the_bucket_allows_and_then_at_its_rate() -> None:
    clock = Clock()
    rate = Rate(6, clients=10, clock=clock)
    assert [rate.wait_seconds("a") for _ in range(6)] == [0.0] * 6
    assert rate.wait_seconds("a") == pytest.approx(10)
    clock.now += 4
    assert rate.wait_seconds("a") == pytest.approx(6)  # having asked in vain costs nothing
    clock.now += 6
    assert rate.wait_seconds("a") == 0
    assert rate.wait_seconds("a") == pytest.approx(10)
    clock.now += 1e6
    assert [rate.wait_seconds("a") > 0 for _ in range(7)] == [False] * 6 + [True]


def test_clients_do_not_pay_for_each_other() -> None:
    rate = Rate(1, clients=10, clock=Clock())
    assert [rate.wait_seconds(client) > 0 for client in "aabb"] == [False, True, False, True]


def test_only_so_many_clients_are_remembered() -> None:
    rate = Rate(1, clients=2, clock=Clock())
    rate.wait_seconds("a"), rate.wait_seconds("b"), rate.wait_seconds("a"), rate.wait_seconds("c")
    assert [rate.wait_seconds(client) > 0 for client in "cab"] == [True, True, False]


# Who may ask


def admission(*arguments: str) -> Admission:
    return Admission(load_settings(ServeSettings, arguments, base="serve"), assets="/demo/assets/")


def answer(
    admitted: Admission, path: str = "/api/jobs", *, method: str = "GET", client: str = "a", **headers: str
) -> str:
    """The kind of the refusal, or "passed"."""
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    try:
        admitted.check(path, sent, client=client, method=method)
    except Refusal as refusal:
        return refusal.kind
    return "passed"


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("localhost:8000", "passed"),
        ("app.localhost", "passed"),
        ("127.0.0.1:8000", "passed"),
        ("192.168.7.9", "passed"),
        ("[::1]:8000", "passed"),
        ("[fe80::1]", "passed"),
        ("people.example.org", "passed"),
        ("PEOPLE.example.org.:443", "passed"),
        ("a.b.example.net", "passed"),
        ("example.net", "forbidden"),
        ("evil.example", "forbidden"),
        ("evil.example:8000", "forbidden"),
        ("people.example.org.evil.example", "forbidden"),
        ("127.0.0.1.evil.example", "forbidden"),
        ("evilexample.net", "forbidden"),
        ("localhost.evil.example", "forbidden"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "WEBSOCKET"])
def test_server_answers_to_its_own_names_only(host: str, kind: str, method: str) -> None:
    """A name of somebody else that resolves to this machine makes a browser take its pages for ours."""
    admitted = admission("hosts=[people.example.org,.example.net]")
    assert answer(admitted, method=method, host=host) == kind
    assert answer(admitted, "/health", host=host) == "passed"  # which says nothing, and monitors ask for by any name
    assert answer(admission("hosts=[any]"), method=method, host=host) == "passed"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "passed"),  # no browser
        ({"origin": "http://localhost:8000"}, "passed"),
        ({"origin": "https://page.example"}, "passed"),  # allowed by cors=
        ({"origin": "https://page.example", "sec_fetch_site": "cross-site"}, "passed"),
        ({"sec_fetch_site": "same-origin"}, "passed"),
        ({"sec_fetch_site": "none"}, "passed"),
        ({"origin": "http://evil.example"}, "forbidden"),
        ({"origin": "http://localhost:9000"}, "forbidden"),
        ({"origin": "null"}, "forbidden"),
        ({"sec_fetch_site": "cross-site"}, "forbidden"),
        ({"sec_fetch_site": "same-site", "origin": "http://localhost:9000"}, "forbidden"),
        ({"sec_fetch_site": "cross-site", "origin": "http://localhost:8000"}, "forbidden"),
        ({"sec_fetch_site": "nonsense"}, "forbidden"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT", "WEBSOCKET"])
def test_pages_of_other_sites_can_change_nothing(headers: dict[str, str], kind: str, method: str) -> None:
    """Also with the password that the browser remembers; reading is what the browser itself keeps them from."""
    admitted = admission("cors=[https://page.example]", "api_key=sesame")
    password = base64.b64encode(b"me:sesame").decode()
    sent = {"host": "localhost:8000", "authorization": f"Basic {password}", **headers}
    assert answer(admitted, method=method, **sent) == kind
    assert answer(admitted, method="GET", **sent) == "passed"


@pytest.mark.parametrize("path", ["/api/jobs", "/metrics", "/demo/assets/index.js", "/docs"])
def test_guessing_of_the_key_has_an_end_everywhere(path: str) -> None:
    """Of 1,000 guesses a minute's share is looked at; other clients still pass, and so does the right key."""
    admitted = admission("api_key=sesame", "limits.requests_per_minute=6")
    kinds = Counter(answer(admitted, path, x_api_key=f"guess {number}") for number in range(1000))
    assert kinds == {"unauthorized": 6, "too_many_requests": 994}
    assert answer(admitted, path, x_api_key="sesame", client="b") == "passed"
    for _ in range(1000):
        assert answer(admitted, "/metrics", x_api_key="sesame") == "passed"
        assert answer(admitted, "/health") == "passed"

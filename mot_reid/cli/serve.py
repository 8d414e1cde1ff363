"""Serves tracking over HTTP: `mot-reid serve port=8000 detector.weights=yolov8s.onnx`."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mot_reid.cli.command import Command, Given
from mot_reid.extras import install
from mot_reid.serving.logs import json_logs
from mot_reid.settings.load import ConfigError, by_key, draft_settings, load_settings, parse_arguments
from mot_reid.settings.schema import schema
from mot_reid.settings.serving import ServeSettings
from mot_reid.settings.tracking import TrackSettings

# These say what one run of mot-reid track works on; here, requests do.
_REQUESTS_SAY = (
    "source",
    "output",
    "results",
    "json",
    "montage",
    "compare",
    "link",
    "max_frames",
    "workers",
    "engine",
    "reid",
)
_EMPTY = {
    "api_key": "expected a key, or null for a server that asks for none",
    "database": "expected an address such as postgresql://user@host/name, or null for a server that is alone",
}
"""What a secret should be where it is empty, since a variable of the environment is."""
_BACKLOG = 512
_SWITCH_SECONDS = 0.001

log = logging.getLogger("mot_reid.serve")


@dataclass(frozen=True)
class _ServeCommand(Command[Any]):
    """The server: the keys of tracking share its command line."""

    def load(self, argv: Sequence[str]) -> tuple[ServeSettings, TrackSettings]:
        track_keys, given = _track_keys(), parse_arguments(argv)
        try:
            settings = load_settings(ServeSettings, argv, base=self.base, tool_keys=(*track_keys, "tracking"))
        except ConfigError as error:
            empty = next((key for key in _EMPTY if f"{key}: got ''" in str(error)), None)
            raise error if empty is None else _empty(empty) from None
        for key in _EMPTY:
            value = getattr(settings, key)
            if given.get(key) == "" or (value is not None and not value.strip()):
                raise _empty(key)
        if settings.demo and settings.database is not None:
            raise ConfigError(
                "demo: got true with a database=; expected false, since the demo keeps its pages in one server; run "
                "it on a server of its own"
            )
        tracking = [f"{key}={text}" for key, text in given.items() if key in track_keys]
        if "tracking" in given:
            tracking.append(f"config={given['tracking']}")
        loaded = load_settings(TrackSettings, tracking, base="track")
        _refuse_idle(loaded, given.get("tracking", ""))
        return settings, loaded

    def values(self, argv: Sequence[str]) -> dict[str, Any]:
        return draft_settings(ServeSettings, argv, base=self.base, tool_keys=(*_track_keys(), "tracking")).values()


COMMAND = _ServeCommand(
    "serve",
    ServeSettings,
    usage="[key=value ...] [config=FILE] [tracking=FILE]",
    about="""
Takes videos, images and live streams over HTTP and answers with the people in them; /docs has the interface. The keys
of mot-reid track say how people are tracked: give them here, or in the YAML file named by tracking=.""",
    examples=(
        "",
        "port=8000 demo=true detector.weights=yolov8s.onnx",
        "host=0.0.0.0 tracker.preset=bytetrack_reid limits.jobs=2 config=my_serve.yaml",
    ),
    exits="0 stopped, 2 a mistake in the arguments, a folder or port that is taken, or a database that is not there",
)


def _empty(key: str) -> ConfigError:
    return ConfigError(
        f"{key}: got an empty text; {_EMPTY[key]}; check the variable of the environment that it comes from"
    )


def main(argv: Sequence[str]) -> int:
    """Serves until it is asked to stop; returns the exit code."""
    return COMMAND.run(_run, argv)


def _run(settings: tuple[ServeSettings, TrackSettings], given: Given) -> None:
    with json_logs():
        _serve(*settings)


def _track_keys() -> list[str]:
    """The keys of tracking that have a place here, and the sections that stand for one of them."""
    keys = {key: spec for key, spec in schema(TrackSettings).items() if key.partition(".")[0] not in _REQUESTS_SAY}
    return [*keys, *(key.partition(".")[0] for key, spec in keys.items() if spec.form.stands_for_section)]


def _refuse_idle(loaded: TrackSettings, file: str) -> None:
    """Refuses keys in the file of tracking= that have no place here, where they are not as they always are."""
    usual, known = by_key(load_settings(TrackSettings, [], base="track")), schema(ServeSettings)
    for key, value in by_key(loaded).items():
        if key in _REQUESTS_SAY and value != usual[key]:
            remedy = f"give the server {key}= instead" if key in known else "leave it out"
            raise ConfigError(f"tracking: got {key}: {value} in '{file}', which would have no effect here; {remedy}")


def _serve(settings: ServeSettings, tracking: TrackSettings) -> None:
    """Builds the service and its app, and runs them."""
    try:
        import uvicorn
        from uvicorn.protocols.http.auto import AutoHTTPProtocol

        from mot_reid.serving.http.api import build_app
        from mot_reid.serving.http.protocol import impatient
        from mot_reid.serving.refusal import Refusal
        from mot_reid.serving.service import Service
    except ImportError as error:
        raise ImportError(f"serve: a package is missing ({error}); {install('serve')}") from None
    listening = _listen(settings)
    try:
        service = Service(settings, tracking)
    except Refusal as refusal:  # a disk that is full, say
        raise OSError(refusal.sentence) from None
    if settings.demo:
        from mot_reid.serving.demo.interface import PAGES, mount_demo

        app: Any = mount_demo(build_app(service, pages=PAGES), service)
    else:
        app = build_app(service)

    class Server(uvicorn.Server):
        """Refuses new work as soon as it is asked to stop, and ends when the requests under way are answered."""

        def handle_exit(self, sig: int, frame: Any) -> None:
            service.stop_accepting()
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    config = uvicorn.Config(
        app, http=impatient(AutoHTTPProtocol, settings.limits.header_seconds),
        log_config=None, access_log=False, server_header=False,
        proxy_headers=bool(settings.proxies), forwarded_allow_ips=list(settings.proxies),
        ws_max_size=settings.limits.live_frame_bytes, ws_max_queue=4, ws_per_message_deflate=False,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    # What was imported lives as long as the server: the collector need not look at it again while a request waits.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)  # so that requests that work in threads hold up the others less
    port = listening.getsockname()[1]
    log.info("listening", extra={"host": settings.host, "port": port})
    print(f"serving at {address(settings.host, port)}{'/demo' if settings.demo else '/docs'}", flush=True)
    Server(config).run(sockets=[listening])


def address(host: str, port: int) -> str:
    """Returns what to open in a browser on this machine.

    Args:
        host: the address that is listened on.
        port: the port that is listened on.
    """
    name = "localhost" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def _listen(settings: ServeSettings) -> socket.socket:
    """Returns the socket, opened here so that an address that is taken is a sentence before any model is loaded."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(
            f"host, port: got {settings.host} and {settings.port} ({error.strerror}); expected a free address"
        ) from None

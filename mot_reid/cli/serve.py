"""Serves tracking over HTTP: `python tools/serve.py port=8000 detector.weights=yolov8s.pt`."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from mot_reid.cli.command import run
from mot_reid.serving.http.logs import json_logs
from mot_reid.settings.load import describe_settings, load_settings, parse_arguments
from mot_reid.settings.schema import schema
from mot_reid.settings.serving import ServeSettings
from mot_reid.settings.tracking import TrackSettings

USAGE = """usage: python tools/serve.py [key=value ...] [config=my_serve.yaml] [tracking=my_track.yaml]

Takes videos, images and live streams over HTTP and answers with the people in them; /docs has the interface.
The keys of tools/track.py say how people are tracked, on the command line or in the file named by tracking=.

Exit code: 0 stopped, 2 a mistake in the arguments or a folder or port that is taken.

keys (the value is that of configs/serve.yaml):
"""
# These say what one run of tools/track.py works on; here, requests do.
_REQUESTS_SAY = ("source", "output", "results", "json", "montage", "compare", "max_frames", "workers", "engine", "reid")
_BACKLOG = 512
_SWITCH_SECONDS = 0.001

log = logging.getLogger("mot_reid.serve")


def main(argv: Sequence[str]) -> int:
    """Serves until it is told to stop; returns the exit code."""
    return run(_run, argv, usage=lambda: USAGE + describe_settings(ServeSettings, base="serve"))


def _run(argv: Sequence[str]) -> None:
    settings, tracking = load(argv)
    with json_logs():
        _serve(settings, tracking)


def load(argv: Sequence[str]) -> tuple[ServeSettings, TrackSettings]:
    """Returns the settings of the server and of tracking.

    Raises:
        ConfigError: a key is unknown, of the wrong type, or has no place here.
    """
    track_keys = [key for key in schema(TrackSettings) if key not in _REQUESTS_SAY]
    given = parse_arguments(argv)
    settings = load_settings(ServeSettings, argv, base="serve", tool_keys=(*track_keys, "tracking"))
    tracking = [f"{key}={text}" for key, text in given.items() if key in track_keys]
    if "tracking" in given:
        tracking.append(f"config={given['tracking']}")
    return settings, load_settings(TrackSettings, tracking, base="track")


def _serve(settings: ServeSettings, tracking: TrackSettings) -> None:
    """Builds the service and its app, and runs them."""
    try:
        import uvicorn

        from mot_reid.serving.http.api import build_app
        from mot_reid.serving.service import Service
    except ImportError as error:
        raise ImportError(f'serve: a package is missing ({error}); pip install "mot-reid[serve]"') from None
    listening = _listen(settings)
    service = Service(settings, tracking)
    app: Any = build_app(service)
    if settings.demo:
        from mot_reid.serving.demo.interface import mount_demo

        app = mount_demo(app, service)

    class Server(uvicorn.Server):
        """Refuses new work as soon as it is told to stop, and ends when the requests under way are answered."""

        def handle_exit(self, sig: int, frame: Any) -> None:
            service.stop_accepting()
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False,
        proxy_headers=bool(settings.proxies), forwarded_allow_ips=list(settings.proxies),
        ws_max_size=settings.limits.live_frame_bytes, ws_max_queue=4, ws_per_message_deflate=False,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    # What was imported lives as long as the server: the collector need not look at it again while a request waits.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)  # so that requests that work in threads hold up the others less
    log.info("listening", extra={"host": settings.host, "port": listening.getsockname()[1]})
    Server(config).run(sockets=[listening])


def _listen(settings: ServeSettings) -> socket.socket:
    """Returns the socket, opened here so that an address that is taken is a sentence before any model is loaded."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(
            f"host, port: got {settings.host} and {settings.port} ({error.strerror}); expected a free address"
        ) from None

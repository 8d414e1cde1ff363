"""The demo for browsers: people followed through a video, and known people in galleries."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from fastapi import Response

from mot_reid.serving.demo_people import PeoplePage, build_people_page
from mot_reid.serving.demo_style import STYLE
from mot_reid.serving.demo_video import VideoPage, build_video_page
from mot_reid.serving.folder import size_of
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service

_LEAD = "Finds people in a video, follows them, and knows them again."
_CLEAN_SECONDS, _KEPT_SECONDS = 600, 3600
_AT_ONCE, _WAITING = 8, 64
_UPLOAD = "/demo/gradio_api/upload"
_FORM_BYTES = 65536
_PART = "tmp????????"  # as `tempfile` names what Gradio has not received wholly


def build_demo(service: Service) -> Any:
    """Returns the demo as Gradio's Blocks.

    Args:
        service: that does the work; it need not be started yet.
    """
    folder = _own_folder(service)
    import gradio as gr

    with gr.Blocks(analytics_enabled=False, title="mot_reid", delete_cache=(_CLEAN_SECONDS, _KEPT_SECONDS)) as demo:
        gr.HTML(f'<h1>mot_reid</h1><p class="lead">{_LEAD}</p>', padding=False)
        with gr.Tab("Video"):
            build_video_page(VideoPage(service, folder), service.default_preset)
        if service.settings.reid is not None:
            with gr.Tab("People"):
                build_people_page(PeoplePage(service, folder))
    demo.queue(max_size=_WAITING, default_concurrency_limit=_AT_ONCE)
    return demo


def mount_demo(app: Any, service: Service) -> Any:
    """Returns the app with the demo under /demo.

    Args:
        app: the HTTP interface.
        service: that does the work.
    """
    demo = build_demo(service)
    import gradio as gr

    app.add_api_route("/favicon.ico", _no_icon, include_in_schema=False)  # browsers ask for it beside every page
    # Fonts of the machine: the theme's own come from an address on the Internet.
    plain = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    theme = gr.themes.Default(primary_hue="blue", font=plain, font_mono=["ui-monospace", "monospace"])
    mounted = gr.mount_gradio_app(
        app, demo, path="/demo", theme=theme, css=STYLE, show_error=False, ssr_mode=False, footer_links=[],
        run_history=False, enable_monitoring=False, pwa=False, mcp_server=False,
        max_file_size=service.limits.upload_bytes,
    )  # fmt: skip
    mount = mounted.routes[-1]
    mount.app = _Guard(mount.app, service, Path(os.environ["GRADIO_TEMP_DIR"]))
    return mounted


def _no_icon() -> Response:
    return Response(status_code=204)


class _Guard:
    """In front of Gradio, which would take uploads until the disk is full, and keep what is left of broken ones."""

    def __init__(self, app: Any, service: Service, folder: Path) -> None:
        self._app, self._limits, self._folder = app, service.limits, folder
        self._receiving = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves a request; uploads only within the limits of the service."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != _UPLOAD:
            await self._app(scope, receive, send)
            return
        self._check(dict(scope["headers"]).get(b"content-length", b""))
        self._receiving += 1
        try:
            await asyncio.to_thread(self._check_room)
            await asyncio.wait_for(self._app(scope, receive, send), self._limits.upload_seconds)
        except (asyncio.TimeoutError, TimeoutError):
            raise Refusal("timeout", "upload: it came too slowly and was given up; check the connection") from None
        finally:
            self._receiving -= 1
            await asyncio.to_thread(self._remove_parts)

    def _check(self, announced: bytes) -> None:
        """Refuses what is too long, or does not say how long it is: browsers always do."""
        if self._receiving >= self._limits.uploads:
            raise Refusal("busy", "upload: the server receives as many as it can; try again soon", retry_seconds=5)
        most = self._limits.upload_bytes + _FORM_BYTES
        if not announced.isdigit() or int(announced) > most:
            raise Refusal("too_large", f"upload: expected a Content-Length of at most {most:,} bytes")

    def _remove_parts(self) -> None:
        """Removes the files of uploads that broke off, while no other upload is under way."""
        if not self._receiving:
            for path in self._folder.glob(_PART):
                path.unlink(missing_ok=True)

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._limits.free_bytes or size_of(self._folder) > self._limits.stored_bytes:
            raise Refusal("disk_full", "storage: the server has no room for uploads; try again later")


def _own_folder(service: Service) -> Path:
    """Returns the empty folder in which Gradio keeps uploads; it looks up where when it is imported."""
    folder = Path(service.settings.folder).resolve() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return folder

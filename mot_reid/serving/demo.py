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
    """In front of Gradio, which would take uploads until the disk is full."""

    def __init__(self, app: Any, service: Service, folder: Path) -> None:
        self._app, self._limits, self._folder = app, service.limits, folder

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves a request; uploads only while there is room."""
        if scope["type"] == "http" and scope["path"].startswith("/demo/gradio_api/upload"):
            await asyncio.to_thread(self._check_room)
        await self._app(scope, receive, send)

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

"""The demo for browsers: people followed through a video, and known people in galleries."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from fastapi import Response

from mot_reid.serving.demo import answers
from mot_reid.serving.demo.guard import DEMO_UPLOAD, DemoGuard
from mot_reid.serving.demo.people_tab import PeoplePage, build_people_page
from mot_reid.serving.demo.video_tab import VideoPage, build_video_page
from mot_reid.serving.http.gate import Pages
from mot_reid.serving.service import Service

PAGES = Pages("/demo", "/demo/assets/", DEMO_UPLOAD)
"""What the gate has to know of the demo."""

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

    app.add_api_route("/favicon.ico", _no_icon, include_in_schema=False)  # browsers ask for it with every page
    # Fonts of the machine: the theme's own come from an address on the Internet.
    plain = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    theme = gr.themes.Default(primary_hue="blue", font=plain, font_mono=["ui-monospace", "monospace"])
    mounted = gr.mount_gradio_app(
        app, demo, path="/demo", theme=theme, css=answers.style(), show_error=False, ssr_mode=False, footer_links=[],
        run_history=False, enable_monitoring=False, pwa=False, mcp_server=False,
        max_file_size=service.limits.upload_bytes,
    )  # fmt: skip
    mount = mounted.routes[-1]
    mount.app = DemoGuard(mount.app, service.limits, Path(os.environ["GRADIO_TEMP_DIR"]))
    return mounted


def _no_icon() -> Response:
    return Response(status_code=204)


def _own_folder(service: Service) -> Path:
    """Returns the empty folder in which Gradio keeps uploads; it looks up where when it is imported."""
    folder = Path(service.settings.folder).resolve() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return folder

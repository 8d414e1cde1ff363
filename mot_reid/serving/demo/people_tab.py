"""The demo's page for known people: enrol, search, list, forget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mot_reid.serving.demo import answers
from mot_reid.serving.demo.video_tab import uploaded
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service, Where

_WHERE = [
    ("shows just the person", "whole"),
    ("is a scene: take the largest person", "largest"),
]
_FIRST = "people"


class PeoplePage:
    """What happens when something is pressed.

    Args:
        service: that knows the people.
        folder: that uploads are in.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self._service, self._folder = service, folder

    def galleries(self) -> list[str]:
        """Returns the names of the galleries; one at least, which may be yet to come."""
        return list(self._service.galleries.names()) or [_FIRST]

    def known(self, gallery: str) -> tuple[str, list[tuple[str, str]]]:
        """Returns the table of a gallery, and its people to choose from, by name and id."""
        try:
            people = self._service.galleries.persons(gallery)
        except Refusal:  # no such gallery yet
            people = []
        return answers.persons(people), [(person.name, person.id) for person in people]

    def enrol(self, gallery: str, name: str, uploads: Any, where: Where) -> str:
        """Enrols a person from images and returns what there is to say; the images are deleted.

        Raises:
            Refusal: see `Service.enrol`.
        """
        paths = [uploaded(upload, self._folder, "images") for upload in uploads or []]
        try:
            self._check_sizes(paths)
            person = self._service.enrol(gallery, name or "", paths, where=where)
        finally:
            _discard(paths)
        pictures = "1 picture" if person.crops == 1 else f"{person.crops} pictures"
        return answers.note(f"{person.name} is known now, by {pictures}. The images were not kept.")

    def search(self, gallery: str, upload: Any, where: Where) -> str:
        """Returns who an image shows; the image is deleted.

        Raises:
            Refusal: see `Service.search`.
        """
        path = uploaded(upload, self._folder, "image")
        try:
            self._check_sizes([path])
            return answers.answer(self._service.search(gallery, path, where=where).answer)
        finally:
            _discard([path])

    def forget(self, gallery: str, id: str | None) -> str:
        """Forgets a person and returns what there is to say.

        Raises:
            Refusal: there is no such person.
        """
        if not id:
            raise Refusal("invalid", "person: got none; choose the person to delete")
        self._service.delete_person(gallery, id)
        return answers.note("Forgotten: nothing of this person is left on the server.")

    def _check_sizes(self, paths: list[Path]) -> None:
        limits = self._service.limits
        if not 0 < len(paths) <= limits.images:
            raise Refusal("invalid", f"images: got {len(paths)}; expected 1 to {limits.images}")
        if any(path.stat().st_size > limits.image_bytes for path in paths):
            raise Refusal("too_large", f"image: got more than {limits.image_bytes:,} bytes; expected a smaller one")


def build_people_page(page: PeoplePage) -> None:
    """Adds the page to the Blocks that are being built.

    Args:
        page: what its buttons do.
    """
    import gradio as gr

    first = page.galleries()[0]
    gallery = gr.Dropdown(
        page.galleries(), value=first, label="Gallery", allow_custom_value=True, elem_id="gallery",
        info="Small letters, digits, - and _; a new name makes a new gallery.",
    )  # fmt: skip
    with gr.Row():
        with gr.Column(min_width=300):
            gr.HTML("<h3>Enrol a person</h3>", padding=False)
            images = gr.File(label="Images", file_count="multiple", file_types=["image"], height=140, elem_id="images")
            name = gr.Textbox(label="Name", max_length=100, elem_id="name")
            each = gr.Radio(_WHERE, value="whole", label="Each image")
            enrol = gr.Button("Enrol", variant="primary")
            enrolled = gr.HTML(elem_id="enrolled", padding=False)
        with gr.Column(min_width=300):
            gr.HTML("<h3>Who is this?</h3>", padding=False)
            asked = gr.Image(
                label="Image", sources=["upload", "webcam", "clipboard"], type="filepath", height=220, elem_id="asked"
            )
            shows = gr.Radio(_WHERE, value="whole", label="The image")
            search = gr.Button("Search", variant="primary")
            found = gr.HTML(elem_id="found", padding=False)
    gr.HTML("<h3>Who is known</h3>", padding=False)
    known = gr.HTML(elem_id="known", padding=False)
    with gr.Row(equal_height=False):
        whom = gr.Dropdown([], label="Person", elem_id="whom", min_width=200)
        forget = gr.Button("Forget this person", variant="stop", size="sm", scale=0, min_width=180)
    forgotten = gr.HTML(elem_id="forgotten", padding=False)
    quiet: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}

    def listed(chosen: str) -> tuple[Any, ...]:
        table, people = page.known(chosen)
        return table, gr.update(choices=people, value=None)

    def do_enrol(chosen: str, called: str, uploads: Any, where: Where) -> tuple[Any, ...]:
        told, done = _told(lambda: page.enrol(chosen, called, uploads, where))
        kept = gr.update() if not done else ""
        names = gr.update(choices=sorted({*page.galleries(), chosen}))
        return told, None, kept, names, *listed(chosen)

    def do_forget(chosen: str, id: str | None) -> tuple[Any, ...]:
        return _told(lambda: page.forget(chosen, id))[0], *listed(chosen)

    def do_search(chosen: str, upload: Any, where: Where) -> Any:
        return _told(lambda: page.search(chosen, upload, where))[0]

    # Gradio would open the images itself to prepare them; here only workers open what strangers send.
    enrol.click(
        do_enrol, [gallery, name, images, each], [enrolled, images, name, gallery, known, whom],
        preprocess=False, **quiet,
    )  # fmt: skip
    search.click(do_search, [gallery, asked, shows], found, preprocess=False, **quiet)
    forget.click(do_forget, [gallery, whom], [forgotten, known, whom], **quiet)
    gallery.change(listed, gallery, [known, whom], **quiet)
    gr.on(None, listed, gallery, [known, whom], **quiet)


def _told(act: Callable[[], str]) -> tuple[str, bool]:
    """Returns what there is to say after something was done, and whether it could be."""
    try:
        return act(), True
    except Refusal as refusal:
        return answers.problem(refusal.sentence), False


def _discard(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)

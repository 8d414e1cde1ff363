"""An image built by buildah and run as an engine would: its user, its command, a root that cannot be written to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from mot_reid.settings.load import ROOT

BASE = "localhost/mot-reid-base:latest"
_INCLUDED = "python3,python3-venv,python3-pip,python-is-python3,ca-certificates"
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
# Run in a mount namespace of its own: $1 the image's root, $2 what is laid over it, $3 the user, then the command.
_RUN = """
set -e
root=$1 over=$2 user=$3 folder=$4
shift 4
mount --bind "$root" "$root"
for name in data models; do mount --bind "$over/$name" "$root/$name"; done
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
mount -o remount,bind,ro "$root/models"
exec setpriv --no-new-privs chroot --userspec="$user" "$root" env --chdir="$folder" "$@"
"""


def missing() -> str | None:
    """Returns why images cannot be built here; None where they can."""
    if os.geteuid() != 0:
        return "images are built as root"
    absent = [name for name in ("buildah", "debootstrap", "unshare", "setpriv") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


class Store:
    """Images of buildah in a folder of their own.

    Args:
        folder: where they are, and what is kept between builds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "storage.conf"
        config.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder / "images"}"\nrunroot = "{folder / "run"}"\n'
        )
        self.environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(config), "BUILDAH_ISOLATION": "chroot"}

    def buildah(self, *arguments: str | Path) -> str:
        """Returns what a command of buildah prints."""
        done = subprocess.run(["buildah", *arguments], env=self.environment, text=True, stdout=subprocess.PIPE)
        assert done.returncode == 0, arguments
        return done.stdout.strip()

    def make_base(self) -> None:
        """Makes the base image out of Debian's packages, as an image with Python has them."""
        if BASE in self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
            return
        root = Path(os.environ.get("MOT_REID_TEST_ROOTFS", self.folder / "rootfs"))
        if not (root / "usr/bin/python3").exists():
            subprocess.run(["debootstrap", "--variant=minbase", f"--include={_INCLUDED}", "bookworm", root], check=True)
        shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
        shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
        if _CA.is_file():
            shutil.copyfile(_CA, root / _CA.relative_to("/"))
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, root, "/")
        self.buildah("commit", "--quiet", "--rm", container, BASE)

    def build(self, target: str) -> None:
        """Builds a target of the Dockerfile by docker/build.sh."""
        arguments = [f"target={target}", "builder=buildah", f"base={BASE}", f"cache={self.folder / 'cache'}"]
        subprocess.run(["docker/build.sh", *arguments], cwd=ROOT, env=self.environment, check=True)

    def image(self, name: str) -> dict[str, Any]:
        """Returns the configuration of an image, as an engine reads it."""
        said = json.loads(self.buildah("inspect", "--type", "image", name))
        return dict(said["Docker"]["config"])

    def megabytes(self, root: Path) -> float:
        """Returns the size of the files of an image."""
        done = subprocess.run(["du", "-sxB1", root], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[0]) / 1e6

    def remove(self) -> None:
        """Removes containers, images and all that was kept."""
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")
        shutil.rmtree(self.folder)


class Container:
    """A server that runs in an image.

    Args:
        store: that has the image.
        name: of the image.
        folder: is given `data` and takes the log; has `models`, which are read.
        port: that the server listens on.
        arguments: more of the command line, or others in place of the image's.
    """

    def __init__(self, store: Store, name: str, folder: Path, port: int, arguments: Sequence[str]) -> None:
        config, self.folder = store.image(name), folder
        self.root = Path(store.buildah("mount", store.buildah("from", name)))
        user = config["User"]
        (folder / "data").mkdir()
        os.chown(folder / "data", *map(int, user.split(":")))
        given = {text.partition("=")[0] for text in arguments}
        if "detector.public" in given:
            given.add("detector.weights")
        command = [text for text in config["Cmd"] if text.partition("=")[0] not in {*given, "host", "port"}]
        command = ["env", "-i", *config["Env"], *command, "host=127.0.0.1", f"port={port}", *arguments]
        self.log = folder / "log"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self.started = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", _RUN, "sh", self.root, folder, user, config["WorkingDir"], *command],
                stdout=log,
                stderr=log,
            )

    def wait_ready(self, seconds: float = 600) -> float:
        """Returns the seconds from the start until the models were loaded."""
        while time.monotonic() - self.started < seconds:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.client.get("/ready").status_code == 200:
                    return time.monotonic() - self.started
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        raise AssertionError(self.log.read_text())

    def stop(self, seconds: float = 60) -> int:
        """Asks it to stop as an engine does; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.client.close()

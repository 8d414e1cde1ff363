"""Requests that a machine makes up from the documentation of the interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.server import Server


@pytest.mark.slow
def test_requests_made_up_from_the_schema_get_what_it_says(server: Server, tmp_path: Path) -> None:
    """No 5xx, no undocumented answer. Left out: that made-up bytes be taken where the schema can only say "binary"."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--max-examples", "25"]
    done = subprocess.run(
        [*command, "--continue-on-failure", "--exclude-checks", "positive_data_acceptance"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Server error" not in done.stdout

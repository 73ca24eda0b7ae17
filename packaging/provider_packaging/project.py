"""What packaging adds to the projects that `provider new` makes (entry point group `provider_sdk.new`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

WORKFLOW = Path(__file__).parent / "workflow" / "package.yml"


def files() -> Mapping[str, str]:
    """The workflow that builds, signs and publishes in a CI, by its place in the project."""
    return {".github/workflows/package.yml": WORKFLOW.read_text("utf-8")}

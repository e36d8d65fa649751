"""The real Prometheus (Debian's package `prometheus`), and the files of `deploy/prometheus`."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

_DEPLOY: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
ALERTS: Final = _DEPLOY / "alerts.yml"
RUNBOOK: Final = Path(__file__).parents[2] / "docs" / "runbook.md"


def promtool() -> str:
    """Where promtool is. Skips without it, with the reason; fails in CI."""
    found = shutil.which("promtool")
    if found is None:
        reason = "promtool is not installed (Debian: prometheus)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def alert_rules() -> Sequence[dict[str, Any]]:
    """All alerts, as the file has them."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]

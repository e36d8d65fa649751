"""The dashboard of Grafana is the one that its tool writes, and asks for metrics that there are."""

import re
from typing import Final

from tests.operations.prometheus import alert_rules
from tools.dashboard import FILE, dashboard, queries
from workers.process.metrics.catalogue import SECTIONS

_OTHERS: Final = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
_NAME: Final = re.compile(r"\b(?:sluice|process)_\w+|\bup\b")


def known() -> set[str]:
    entries = [entry for section in SECTIONS for entry in section.entries]
    parts = {f"{one.name}{end}" for one in entries if one.kind == "histogram" for end in ("_bucket", "_count", "_sum")}
    return {one.name for one in entries} | parts | _OTHERS


def test_the_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == dashboard(), "run: python -m tools.dashboard"


def test_dashboard_and_alerts_ask_for_metrics_of_the_catalogue() -> None:
    asked = [*queries(), *(rule["expr"] for rule in alert_rules())]

    assert {name for query in asked for name in _NAME.findall(query)} <= known()


def test_every_state_that_is_worth_an_alert_has_one() -> None:
    """The catalogue says on what to alert: what the whole installation shows is in a rule, but for mere growth."""
    expressions = " ".join(rule["expr"] for rule in alert_rules())
    [state] = [section for section in SECTIONS if section.title == "State of the installation"]
    wanted = {one.name for one in state.entries if one.alert and not one.alert.startswith("growth")}

    assert {name for name in wanted if name not in expressions} == {"sluice_mac_workspaces_differing"}

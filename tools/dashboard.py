"""Writes the dashboard of Grafana from the table of its panels: `python -m tools.dashboard`.

Grafana's JSON says each thing many times; what matters of a panel is its title, its unit and its queries.
"""

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "sluice.json"
_HEIGHT: Final = 7
_WIDTH: Final = 8
_COLUMNS: Final = 3
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


class Panel(NamedTuple):
    """A chart over time. `queries`: PromQL, and what names its lines. `unit`: as Grafana calls it."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]


def _p95(metric: str, by: str) -> tuple[str, str]:
    return f"histogram_quantile(0.95, sum by (le, {by}) (rate({metric}_bucket[$__rate_interval])))", f"{{{{{by}}}}}"


def _rate(metric: str, by: str, matching: str = "") -> tuple[str, str]:
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return f"sum by ({by}) (rate({metric}{matching}[$__rate_interval]))", legend


ROWS: Final[Sequence[tuple[str, Sequence[Panel]]]] = (
    (
        "What waits",
        (
            Panel("Lag", "s", [("max by (topic) (sluice_lag_seconds)", "{{topic}}")]),
            Panel("Records not applied", "short", [("sluice_unread_records", "{{topic}}")]),
            Panel("Oldest output not published", "s", [("sluice_unpublished_oldest_seconds", "oldest")]),
            Panel("Held sends", "short", [("sluice_holds_open", "held"), ("sluice_sends_ambiguous", "ambiguous")]),
            Panel("Dead letters", "short", [("sum by (topic) (sluice_dead_letters_new)", "{{topic}}")]),
            Panel("Work in steps", "short", [("sluice_pending_work", "{{kind}}")]),
        ),
    ),
    (
        "Flow",
        (
            Panel("Records applied", "ops", [_rate("sluice_records_applied_total", "worker")]),
            Panel("Verdicts", "ops", [_rate("sluice_verdicts_total", "topic, verdict")]),
            Panel("Outputs published", "ops", [_rate("sluice_outputs_published_total", "topic")]),
            Panel("Transactions, p95", "s", [_p95("sluice_transaction_seconds", "worker")]),
            Panel("Publishing, p95", "s", [_p95("sluice_publication_seconds", "worker")]),
            Panel("Records of a transaction, p95", "short", [_p95("sluice_batch_records", "worker")]),
            Panel("Transactions run again", "ops", [_rate("sluice_transaction_retries_total", "worker, reason")]),
            Panel(
                "Rebalances and fenced partitions",
                "short",
                [
                    ("sum by (worker) (increase(sluice_rebalances_total[$__rate_interval]))", "{{worker}} rebalances"),
                    (
                        "sum by (worker) (increase(sluice_fenced_partitions_total[$__rate_interval]))",
                        "{{worker}} fenced",
                    ),
                ],
            ),
            Panel("Partitions without a worker", "short", [("sluice_partitions_without_worker", "{{topic}}")]),
        ),
    ),
    (
        "Billing",
        (
            Panel("Differences of the last verification", "short", [("sluice_mac_differences", "differences")]),
            Panel("Since the last verification", "s", [("time() - sluice_mac_verified_timestamp_seconds", "age")]),
            Panel("Closing delay", "s", [("sluice_closing_delay_seconds", "delay")]),
        ),
    ),
    (
        "Webhooks, sends, requests",
        (
            Panel("Webhooks", "ops", [_rate("sluice_webhooks_total", "provider, answer")]),
            Panel("Calls of providers", "ops", [_rate("sluice_provider_calls_total", "provider, outcome")]),
            Panel("Requests", "ops", [_rate("sluice_http_requests_total", "server, code")]),
            Panel("Webhooks, p95", "s", [_p95("sluice_webhook_seconds", "provider")]),
            Panel("Calls of providers, p95", "s", [_p95("sluice_provider_call_seconds", "provider")]),
            Panel("Requests, p95", "s", [_p95("sluice_http_request_seconds", "server")]),
        ),
    ),
    (
        "Processes",
        (
            Panel("Memory", "bytes", [('process_resident_memory_bytes{job=~"sluice.*"}', "{{job}} {{instance}}")]),
            Panel(
                "CPU",
                "percentunit",
                [('rate(process_cpu_seconds_total{job=~"sluice.*"}[$__rate_interval])', "{{job}} {{instance}}")],
            ),
            Panel("Event loop behind", "s", [("sluice_loop_lag_seconds", "{{job}} {{instance}}")]),
        ),
    ),
)


def queries() -> Sequence[str]:
    """All queries of the dashboard."""
    return [query for _, panels in ROWS for panel in panels for query, _ in panel.queries]


def dashboard() -> str:
    """The file's content."""
    ids, y, shown = count(1), 0, []
    for title, panels in ROWS:
        place = {"x": 0, "y": y, "w": _WIDTH * _COLUMNS, "h": 1}
        shown.append(
            {"id": next(ids), "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        )
        y += 1
        for number, panel in enumerate(panels):
            shown.append(_chart(next(ids), panel, number % _COLUMNS * _WIDTH, y + number // _COLUMNS * _HEIGHT))
        y += -(-len(panels) // _COLUMNS) * _HEIGHT
    whole = {
        "title": "Sluice",
        "uid": "sluice",
        "tags": ["sluice"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": shown,
    }
    return json.dumps(whole, indent=1) + "\n"


def _chart(id_: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(dashboard(), encoding="utf-8")

"""Alert rules on recorded series, by the real promtool: each fires for its symptom alone, and clears."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.operations.prometheus import ALERTS, RUNBOOK, alert_rules, promtool

_STATE: Final = "sluice_state_measured_timestamp_seconds"


@dataclass(frozen=True)
class Symptom:
    """Series of promtool's notation, one value a step; `fires` and `clear` are minutes. `step`: minutes."""

    series: dict[str, str]
    fires: int
    clear: int
    step: int = 1


def gauge(series: str, bad: float, fires: int, *, good: float = 0, step: int = 1) -> Symptom:
    """Good, bad for twice as long as it takes to fire, and good again."""
    return Symptom(
        {series: f"{good}x5 {bad}x{2 * fires // step + 5} {good}x60"}, fires + 5 * step, 4 * fires + 60, step
    )


def counter(series: str, each: float, fires: int, window: int, **others: str) -> Symptom:
    """Grows for twice as long as it takes to fire, and stands still."""
    grown = each * (2 * fires + 5)
    own = {series: f"0x5 0+{each}x{2 * fires + 5} {grown}x{window + fires + 60}"}
    return Symptom(own | others, fires + 8, 2 * fires + window + fires + 30)


PROCESS: Final = '{job="sluice-worker", instance="w1"}'
DAYS: Final = 24 * 60
CASES: Final = {
    "SluiceProcessDown": gauge(f"up{PROCESS}", 0, 3, good=1),
    "SluiceProcessRestarts": Symptom({f"process_start_time_seconds{PROCESS}": "1 1 2 3 4 5 5x60"}, fires=7, clear=40),
    "SluiceServerUnreachable": gauge('sluice_server_up{server="Kafka"}', 0, 2, good=1),
    "SluiceServiceDown": gauge('sluice_service_running{service="inbound"}', 0, 3, good=1),
    "SluiceServiceFails": counter('sluice_service_failures_total{service="inbound"}', 1, 6, 15),
    "SluiceLoopBlocked": counter(
        "sluice_loop_blocked_seconds_count",
        2,
        2,
        10,
        **{'sluice_loop_blocked_seconds_bucket{le="2.5"}': "0x5 0+1x9 9x90"},
    ),
    "SluiceMemoryHigh": gauge(f"process_resident_memory_bytes{PROCESS}", 6e8, 11, good=1e8),
    "SluiceLagHigh": gauge('sluice_lag_seconds{topic="messages.inbound", partition="3"}', 400, 6),
    "SluicePartitionsWithoutWorker": gauge('sluice_partitions_without_worker{topic="messages.inbound"}', 6, 6),
    "SluiceOutputsWait": gauge("sluice_unpublished_oldest_seconds", 90, 3),
    "SluiceFenced": counter('sluice_fenced_partitions_total{worker="inbound"}', 1, 18, 15),
    "SluiceRebalancesGoOn": counter('sluice_rebalances_total{worker="inbound"}', 3, 10, 30),
    "SluicePublishingFails": counter('sluice_producer_rebuilt_total{worker="inbound"}', 1, 6, 15),
    "SluiceDatabaseExhausted": counter(
        'sluice_transaction_retries_total{worker="inbound", reason="Exhausted"}', 1, 2, 10
    ),
    "SluiceStateNotMeasured": Symptom({_STATE: "0+60x5 300x30 2160+60x60"}, fires=14, clear=45),
    "SluiceWorkStalls": gauge('sluice_pending_work_oldest_seconds{kind="delete contacts"}', 25_000, 2),
    "SluiceDeadLetters": gauge('sluice_dead_letters_new{topic="messages.inbound", reason="malformed"}', 2, 6),
    "SluiceDeadLettersExpire": gauge(
        'sluice_dead_letters_oldest_seconds{topic="messages.inbound", reason="malformed"}', 500_000, 2
    ),
    "SluiceMessageConflicts": counter('sluice_message_conflicts_total{worker="inbound"}', 5, 5, 60),
    "SluiceHoldsOld": gauge("sluice_holds_oldest_seconds", 140_000, 2),
    "SluiceSendsAmbiguous": gauge("sluice_sends_ambiguous", 1, 6),
    "SluiceProviderFails": counter(
        'sluice_provider_calls_total{provider="twilio", outcome="failed"}',
        1,
        12,
        10,
        **{'sluice_provider_calls_total{provider="twilio", outcome="sent"}': "0+2x200"},
    ),
    "SluiceProviderThrottles": counter(
        'sluice_provider_calls_total{provider="twilio", outcome="throttled"}', 20, 25, 15
    ),
    "SluiceDispatchesUnreadable": counter('sluice_dispatches_total{outcome="unreadable"}', 1, 3, 15),
    "SluiceMacDiffers": gauge("sluice_mac_differences", 1, 2),
    "SluiceMacNotVerified": Symptom(
        {"sluice_mac_verified_timestamp_seconds": f"0x{51} {51 * 3600}+3600x20"}, fires=50 * 60, clear=55 * 60, step=60
    ),
    "SluiceClosingDelayed": gauge("sluice_closing_delay_seconds", 4_000, 2),
    "SluiceWebhooksNotUnderstood": counter('sluice_webhooks_unmapped_total{provider="viber"}', 1, 3, 15),
    "SluiceWebhooksRefused": counter('sluice_webhooks_total{provider="viber", answer="forbidden"}', 5, 12, 10),
    "SluiceRequestsFail": counter('sluice_http_requests_total{server="console", code="503"}', 2, 6, 10),
    "SluiceRequestsSlow": Symptom(
        {
            'sluice_http_request_seconds_bucket{server="console", le="2.5"}': "0+9x10 90x30 90+9x60",
            'sluice_http_request_seconds_bucket{server="console", le="5"}': "0+9x10 90+9x30 360+9x60",
            'sluice_http_request_seconds_bucket{server="console", le="+Inf"}': "0+9x10 90+9x30 360+9x60",
        },
        fires=30,
        clear=70,
    ),
    "SluiceEngineRefuses": counter('sluice_engine_records_total{outcome="refused"}', 1, 3, 15),
}
TOGETHER: Final = {"SluiceLagNearRetention": ("SluiceLagHigh", 90_000.0)}
"""What fires with another one, and the value of its series for both."""


def firing(at: int, names: list[str]) -> dict[str, Any]:
    return {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{at}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
    }


def run(tmp_path: Path, symptom: Symptom, names: list[str]) -> subprocess.CompletedProcess[str]:
    """promtool on one symptom: these alerts fire, and no other one; later none."""
    series = {_STATE: f"0+{60 * symptom.step}x400"} | symptom.series
    tests = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": f"{symptom.step}m",
        "tests": [
            {
                "interval": f"{symptom.step}m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [firing(0, []), firing(symptom.fires, names), firing(symptom.clear, [])],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(tests), encoding="utf-8")
    return subprocess.run([promtool(), "test", "rules", file], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_for_its_symptom_alone_and_clears(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, CASES[name], [name])

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", TOGETHER)
def test_a_worse_symptom_fires_both(tmp_path: Path, name: str) -> None:
    other, value = TOGETHER[name]
    series = re.sub(r" 400x", f" {value}x", next(iter(CASES[other].series.values())))
    symptom = Symptom({next(iter(CASES[other].series)): series}, CASES[other].fires, CASES[other].clear)

    done = run(tmp_path, symptom, [name, other])

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_symptom_here() -> None:
    assert {rule["alert"] for rule in alert_rules()} == CASES.keys() | TOGETHER.keys()


def test_every_alert_has_its_entry_of_the_runbook_in_the_same_order() -> None:
    entries = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    links = [rule["annotations"]["runbook"] for rule in alert_rules()]

    assert entries == [rule["alert"] for rule in alert_rules()]
    assert links == [f"docs/runbook.md#{entry.lower()}" for entry in entries]


def test_an_entry_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    for entry in re.split(r"^### ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        assert re.findall(r"\*\*(\w[\w ]*)\*\*", entry) == ["Means", "Look at", "Do"], entry.splitlines()[0]


def test_the_configuration_is_one_of_prometheus() -> None:
    command = [promtool(), "check", "config", str(ALERTS.with_name("prometheus.yml"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert done.returncode == 0, done.stdout + done.stderr

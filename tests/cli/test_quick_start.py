"""Commands that only read start without what only workers need."""

import subprocess
import sys

import pytest

HEAVY = ("aiokafka", "phonenumbers", "prometheus_client", "schemas.commands", "workers.kafka.consumer")


@pytest.mark.parametrize(
    "module", ["reports", "mac", "mac_export", "chart_output", "customers", "dead_letters", "holds", "sends", "runs"]
)
def test_a_command_that_reads_loads_no_client_no_metrics_and_no_schemas(module: str) -> None:
    program = (
        f"import sys, workers.cli.main, workers.cli.{module}, workers.process.logs\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    assert loaded.stdout.split() == []

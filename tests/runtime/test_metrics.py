"""Metrics: what the manual names is there, and reads 0 before anything happens."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Final
from urllib.request import urlopen

from asyncpg import Pool
from prometheus_client import REGISTRY, Metric
from prometheus_client.parser import text_string_to_metric_families

from connectors.receiver import telemetry as receiver_telemetry
from connectors.sender import telemetry as sender_telemetry
from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, spec_of
from tests.support.brokers import Broker
from tests.support.workers import running
from workers.app.composition import ALL, plan_of
from workers.process import loop_watch
from workers.runtime import telemetry

OPERATIONS: Final = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
_ROW: Final = re.compile(
    r"^\| `(sluice_\w+_(?:total|seconds|records|running|differences|open))` \| ([\w, ]*) ?\|", re.MULTILINE
)
_METRIC: Final = re.compile(r"\bsluice_\w+_(?:total|seconds|records|running|differences|open)\b")
_BY_TOPIC: Final = ("records_applied", "dead_letters", "records_without_key", "records_with_unexpected_key")
_AT_A_START: Final = ("sluice_job_rounds_total", "sluice_loop_blocked_seconds_count")
"""What may have happened by the time that a process is at work."""
_OF_SERVICES: Final = ("sluice_service_failures_total", "sluice_service_running")
Labels = frozenset[tuple[str, str]]


def documented() -> dict[str, set[str]]:
    return {
        name: set(re.findall(r"\w+", labels)) for name, labels in _ROW.findall(OPERATIONS.read_text(encoding="utf-8"))
    }


def test_the_manual_names_every_metric_with_its_labels() -> None:
    modules = (telemetry, loop_watch, receiver_telemetry, sender_telemetry)
    metrics = [value for module in modules for value in vars(module).values() if hasattr(value, "_labelnames")]
    known = {sample_name(one.describe()[0]): set(one._labelnames) for one in metrics}  # noqa: SLF001
    assert documented() == known


def test_no_document_names_a_metric_that_does_not_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in OPERATIONS.parent.rglob("*.md")]
    assert {name for text in texts for name in _METRIC.findall(text)} == set(documented())


def sample_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


def expected() -> Iterator[tuple[str, Labels]]:
    """Every counter that an alert may be built on, with the labels that it has in a process of all workers."""
    plan = plan_of([ALL])
    yield "sluice_loop_blocked_seconds_count", of()
    for spec in plan.specs:
        for topic in spec.decoders:
            for counter in _BY_TOPIC:
                yield f"sluice_{counter}_total", of(worker=spec.name, topic=topic)
        for reason in ("Conflict", "RetryBatch", "Exhausted", "ConnectionLost", "TooMuch"):
            yield "sluice_transaction_retries_total", of(worker=spec.name, reason=reason)
        yield "sluice_fenced_partitions_total", of(worker=spec.name)
        yield "sluice_transaction_seconds_count", of(worker=spec.name)
    for worker in (*(spec.name for spec in plan.specs), "publisher"):
        yield "sluice_producer_rebuilt_total", of(worker=worker)
        yield "sluice_publication_seconds_count", of(worker=worker)
    for topic in (name for name, spec in TOPICS.items() if spec.direction == "out"):
        yield "sluice_outputs_published_total", of(topic=topic)
    for repaired in plan.repaired:
        yield "sluice_compaction_repairs_total", of(topic=repaired.name)
    for job in plan.jobs:
        yield "sluice_job_rounds_total", of(job=job.name)
    for service in (*(spec.name for spec in plan.specs), "publisher", *(f"job {job.name}" for job in plan.jobs)):
        yield "sluice_service_failures_total", of(service=service)
    for topic in (topic for spec in plan.specs for topic in spec.decoders):
        for partition in range(4):
            yield "sluice_lag_records", of(topic=topic, partition=str(partition))


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")


async def test_what_has_not_happened_reads_zero(database: str, broker: Broker, tmp_path: Path) -> None:
    await broker.create(*TOPICS)
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap, METRICS_PORT=port)
    with sluice.running("worker", "all") as at_work:
        at_work.until_consuming()
        text = await asyncio.to_thread(scraped, port)
    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("sluice_")
    }
    wanted = set(expected())
    assert wanted <= found.keys(), wanted - found.keys()
    assert {found[one] for one in wanted if one[0] not in _AT_A_START} == {0}
    assert {found[name, of(service="job expire holds")] for name in _OF_SERVICES} == {0, 1}
    workers = {dict(labels)["worker"] for _, labels in found if "worker" in dict(labels)}
    assert workers == {"inbound", "outbound", "commands", "workflows", "publisher"}


async def test_the_lag_of_a_partition_is_told_as_long_as_it_is_held(database: str, pool: Pool, broker: Broker) -> None:
    def lag(partition: int) -> float | None:
        return REGISTRY.get_sample_value("sluice_lag_records", {"topic": TOPIC, "partition": str(partition)})

    await book(pool)
    await broker.create(TOPIC, OUTPUT)
    await broker.produce(TOPIC, [(b"k", b"1")], partition=2)
    async with running(spec_of(), database, broker) as worker:
        await broker.caught_up(pool, TOPIC)
        assert [lag(partition) for partition in range(4)] == [0, 0, 0, 0]
        await worker.stop()
    assert [lag(partition) for partition in range(4)] == [None] * 4

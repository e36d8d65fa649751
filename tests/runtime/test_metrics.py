"""Metrics: what the manual names is there, and reads 0 before anything happens."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any, Final, get_args
from urllib.request import urlopen

from asyncpg import Pool
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, spec_of
from tests.support.brokers import Broker
from tests.support.workers import running
from tools import metrics_page
from workers.app.composition import ALL, plan_of
from workers.process.metrics.catalogue import SECTIONS
from workers.process.metrics.kinds import StateGauge
from workers.rules.results import Reason
from workers.runtime.worker_spec import WorkerSpec
from workers.store.migrate import ROLES

DOCS: Final = metrics_page.PAGE.parent
CATALOGUE: Final = {entry.name: entry for section in SECTIONS for entry in section.entries}
_NAME: Final = re.compile(r"\bsluice_[a-z_]+[a-z]\b")
_NO_METRICS: Final = {"sluice_core", "sluice_app", "sluice_dead_letter_id", *ROLES}
_SUFFIX: Final = re.compile(r"_(bucket|sum|count|created)$")
_BOUNDED: Final = {"worker", "topic", "verdict", "reason", "sqlstate_class", "partition", "job", "outcome", "kind"}
_BOUNDED_ELSEWHERE: Final = {"server", "service", "route", "method", "code", "provider", "answer", "type"}
_BY_TOPIC: Final = ("records_applied", "dead_letters", "records_without_key", "records_with_unexpected_key")
_AT_A_START: Final = (
    *("sluice_job_rounds_total", "sluice_loop_blocked_seconds_count", "sluice_offset_commit_seconds_count"),
)
"""What may have happened by the time that a process is at work."""
_OF_SERVICES: Final = ("sluice_service_failures_total", "sluice_service_running")
Labels = frozenset[tuple[str, str]]


def test_the_page_of_metrics_is_current() -> None:
    assert metrics_page.PAGE.read_text(encoding="utf-8") == metrics_page.page(), "run: python -m tools.metrics_page"


def test_every_metric_is_in_the_catalogue_with_its_labels() -> None:
    registered = {
        name: _labels(one)
        for one, names in REGISTRY._collector_to_names.items()  # noqa: SLF001 - there is no public way
        for name in names
        if name in CATALOGUE
    }
    assert registered == {name: tuple(entry.labels) for name, entry in CATALOGUE.items()}
    ours = {name for name in REGISTRY._names_to_collectors if name.startswith("sluice_")}  # noqa: SLF001
    assert {_SUFFIX.sub("", name) for name in ours} <= {
        name.removesuffix("_total") for name in CATALOGUE
    } | CATALOGUE.keys()


def test_names_end_in_their_unit_and_labels_are_few() -> None:
    for entry in CATALOGUE.values():
        assert entry.name.endswith("_total") == (entry.kind == "counter"), entry.name
        assert set(entry.labels) <= _BOUNDED | _BOUNDED_ELSEWHERE, entry.name


def test_no_document_names_a_metric_that_does_not_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]]
    named = {_SUFFIX.sub("", name) for text in texts for name in _NAME.findall(text)}
    assert named - _NO_METRICS == set(CATALOGUE)


def _labels(one: Any) -> tuple[str, ...]:
    return tuple(one._labels if isinstance(one, StateGauge) else one._labelnames)  # noqa: SLF001


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


def of_worker(spec: WorkerSpec) -> Iterator[tuple[str, Labels]]:
    for topic in spec.decoders:
        for counter in _BY_TOPIC:
            yield f"sluice_{counter}_total", of(worker=spec.name, topic=topic)
    for reason in ("Conflict", "RetryBatch", "Exhausted", "ConnectionLost", "TooMuch"):
        yield "sluice_transaction_retries_total", of(worker=spec.name, reason=reason)
    for counter in ("fenced_partitions", "message_conflicts"):
        yield f"sluice_{counter}_total", of(worker=spec.name)
    for stage in ("transaction", "decode", "poll", "offset_commit"):
        yield f"sluice_{stage}_seconds_count", of(worker=spec.name)


def expected() -> Iterator[tuple[str, Labels]]:
    """Every counter that an alert may be built on, with the labels that it has in a process of all workers."""
    plan = plan_of([ALL])
    yield "sluice_loop_blocked_seconds_count", of()
    for spec in plan.specs:
        yield from of_worker(spec)
    for reason in get_args(Reason):
        labels = of(worker="commands", topic="commands.results", verdict="refused", reason=reason)
        yield "sluice_verdicts_total", labels
    yield "sluice_verdicts_total", of(worker="inbound", topic="messages.accepted", verdict="accepted", reason="none")
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
    assert "process_resident_memory_bytes" in text
    assert "process_open_fds" in text
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
    assert {found["sluice_server_up", of(server=server)] for server in ("PostgreSQL", "Kafka")} == {1}
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

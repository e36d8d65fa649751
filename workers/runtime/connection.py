"""How to reach Kafka, and how much to take from it at once: plain values, made from the settings once."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from workers.runtime.batch import RawRecord, Source

Slices = Mapping[Source, Sequence[RawRecord]]


@dataclass(frozen=True, slots=True)
class Kafka:
    """A cluster, and how its topics are prefixed. `security` are aiokafka's own arguments."""

    bootstrap: str
    topic_prefix: str = ""
    session_timeout_ms: int = 30_000
    security: dict[str, Any] = field(default_factory=dict, repr=False)

    def clients(self, name: str) -> dict[str, Any]:
        """Arguments of every aiokafka client."""
        return {"bootstrap_servers": self.bootstrap, "client_id": f"sluice-{name}", **self.security}

    def topic(self, name: str) -> str:
        """The topic's name on the cluster."""
        return self.topic_prefix + name

    def name(self, topic: str) -> str:
        """The inverse of `topic`."""
        return topic.removeprefix(self.topic_prefix)

    def source(self, partition: TopicPartition) -> Source:
        """A partition of the cluster as the engine calls it."""
        return Source(self.name(partition.topic), partition.partition)

    def partition(self, source: Source) -> TopicPartition:
        """The inverse of `source`."""
        return TopicPartition(self.topic(source.topic), source.partition)


@dataclass(frozen=True, slots=True)
class PollLimits:
    """Bounds of one poll. Bytes count keys and values; waits are in milliseconds."""

    records: int = 2_000
    bytes: int = 8 * 1024 * 1024
    wait_ms: int = 500
    fetch_min_bytes: int = 1
    fetch_max_wait_ms: int = 250

    def consumer(self) -> dict[str, Any]:
        """Arguments of an aiokafka consumer."""
        return {
            "max_poll_records": self.records,
            "fetch_min_bytes": self.fetch_min_bytes,
            "fetch_max_wait_ms": self.fetch_max_wait_ms,
            "fetch_max_bytes": self.bytes,
            "max_partition_fetch_bytes": 2 * 1024 * 1024,
        }

    def parts(self, polled: Slices) -> Iterator[Slices]:
        """What was polled in as many parts as its bytes need, in offset order within each partition; none is empty."""
        part: dict[Source, Sequence[RawRecord]] = {}
        room = self.bytes
        for source, records in polled.items():
            start = 0
            for index, record in enumerate(records):
                room -= len(record.value or b"") + len(record.key or b"")
                if room < 0 and (part or index > start):
                    if index > start:
                        part[source] = records[start:index]
                    yield part
                    part, start, room = {}, index, self.bytes
            part[source] = records[start:]
        if part:
            yield part


def security(
    protocol: str,
    *,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    mechanism: str | None = None,
    username: str | None = None,
    password: str | None = None,
) -> dict[str, Any]:
    """aiokafka's arguments for TLS and SASL.

    Raises:
        OSError, ssl.SSLError: a file cannot be read or is no certificate.
    """
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=ca_file)
        if certificate_file is not None:
            context.load_cert_chain(certificate_file, key_file)
        arguments["ssl_context"] = context
    if protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return arguments

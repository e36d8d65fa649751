"""How to reach Kafka and how much to fetch at once: plain values, made from the settings once."""

import shlex
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workers.records import Partition

if TYPE_CHECKING:
    from aiokafka import TopicPartition

# Before load balancers and firewalls forget an idle connection and drop its packets silently.
_MOST_IDLE_MS: Final = 180_000


@dataclass(frozen=True, slots=True)
class Kafka:
    """A cluster and the prefix of its topics. `security` are aiokafka's own arguments."""

    bootstrap: str
    topic_prefix: str = ""
    session_timeout_ms: int = 30_000
    security: dict[str, Any] = field(default_factory=dict, repr=False)

    def clients(self, name: str) -> dict[str, Any]:
        """Arguments of every aiokafka client."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": f"sluice-{name}",
            "connections_max_idle_ms": _MOST_IDLE_MS,
            **self.security,
        }

    @property
    def user(self) -> str | None:
        """The name that logs in, if the login has one."""
        return self.security.get("sasl_plain_username")

    def topic(self, name: str) -> str:
        """The topic's name on the cluster."""
        return self.topic_prefix + name

    def name(self, topic: str) -> str:
        """The inverse of `topic`."""
        return topic.removeprefix(self.topic_prefix)

    def source(self, partition: "TopicPartition") -> Partition:
        """A partition of the cluster as a `Partition` of the engine."""
        return Partition(self.name(partition.topic), partition.partition)

    def partition(self, source: Partition) -> "TopicPartition":
        """The inverse of `source`."""
        from aiokafka import TopicPartition  # noqa: PLC0415 - the settings of a command that only reads need no client

        return TopicPartition(self.topic(source.topic), source.partition)


@dataclass(frozen=True, slots=True)
class PollLimits:
    """Limits of one poll. Bytes count keys, values and headers; the last record may exceed the limit. Waits are in
    milliseconds.
    """

    records: int = 2_000
    bytes: int = 2 * 1024 * 1024
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


class UnusableFile(ValueError):  # noqa: N818 - a state of the file
    """A file of the settings is not usable. `argument` of `security` names it; the text says what is wrong with it."""

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(reason)
        self.argument = argument


def security(
    protocol: str,
    *,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    mechanism: str | None = None,
    username: str | None = None,
    password: str | None = None,
    token_command: str | None = None,
) -> dict[str, Any]:
    """aiokafka's arguments for TLS and SASL.

    Raises:
        UnusableFile: a file cannot be read or has the wrong content.
    """
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = _tls(ca_file, certificate_file, key_file)
    if token_command is not None:
        arguments |= {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": _tokens(shlex.split(token_command))}
    elif protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return arguments


def _tokens(command: Sequence[str]) -> Any:
    from workers.kafka.token_command import TokenCommand  # noqa: PLC0415 - see `Kafka.partition`

    return TokenCommand(command)


def _tls(ca_file: str | None, certificate_file: str | None, key_file: str | None) -> ssl.SSLContext:
    context = _trusting("ca_file", ca_file)
    if certificate_file is None:
        return context
    _trusting("certificate_file", certificate_file)  # only to check that the file holds one
    _readable("key_file", key_file)
    try:
        context.load_cert_chain(certificate_file, key_file, _encrypted)
    except ssl.SSLError as error:
        other = error.reason == "KEY_VALUES_MISMATCH"
        reason = "holds the key of another certificate" if other else "holds no private key in PEM form"
        raise UnusableFile("key_file", reason) from error
    return context


def _trusting(argument: str, file: str | None) -> ssl.SSLContext:
    _readable(argument, file)
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        raise UnusableFile(argument, "holds no certificate in PEM form") from error


def _readable(argument: str, file: str | None) -> None:
    if file is None:
        return
    try:
        with Path(file).open("rb"):
            return
    except OSError as error:
        raise UnusableFile(argument, f"cannot be read: {error.strerror}") from error


def _encrypted() -> str:
    raise UnusableFile("key_file", "is encrypted: Sluice cannot ask for its password")

"""What is right and wrong with settings that are valid one by one: what is not set, and what is not safe."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from workers.rules.findings import Finding, checked

_CHECK: Final = "settings"
_OWN_MACHINE: Final = ("localhost", "127.", "[::1]")
_HASHING: Final = ("worker", "console")
_SERVED: Final = ("worker", "receiver", "sender", "console")


class SettingsFacts(NamedTuple):
    """What is set. `brokers`: host:port, separated by commas; `encrypted`: the connection to them is."""

    database: bool
    kafka: bool
    brokers: str = ""
    encrypted: bool = False
    hash_key: bool = False
    metrics: bool = False
    channels_file: bool = False


def settings_findings(facts: SettingsFacts, purpose: str, *, needs_database: bool) -> list[Finding]:
    """Findings for a process of a kind: `worker`, `receiver`, `sender`, `console` or `engine`."""
    return checked(_CHECK, "set and valid", _wrong(facts, purpose, needs_database=needs_database))


def _wrong(facts: SettingsFacts, purpose: str, *, needs_database: bool) -> Iterator[Finding]:
    if needs_database and not facts.database:
        yield _unset("SLUICE_DATABASE_URL", "postgresql://user:password@host:5432/name")
    if not facts.kafka:
        yield _unset("SLUICE_KAFKA_BOOTSTRAP", "host:port, separated by commas")
    if purpose in ("receiver", "sender") and not facts.channels_file:
        yield _unset("SLUICE_CHANNELS_FILE", "the TOML file of the channels")
    if purpose in _HASHING and not facts.hash_key:
        yield Finding(
            _CHECK, "warning", "SLUICE_HASH_KEY is not set", "the same key for every process",
            "No contact can be deleted without it. `sluice migrate --worker-env FILE` makes one.",
        )  # fmt: skip
    elsewhere = [one for one in facts.brokers.split(",") if one and not one.strip().startswith(_OWN_MACHINE)]
    if elsewhere and not facts.encrypted:
        yield Finding(
            _CHECK, "warning", "SLUICE_KAFKA_SECURITY_PROTOCOL does not encrypt", "SSL or SASL_SSL",
            "Personal data crosses the network in clear: set up TLS, unless the network is one that you trust.",
        )  # fmt: skip
    if purpose in _SERVED and not facts.metrics:
        yield Finding(
            _CHECK, "warning", "SLUICE_METRICS_PORT is not set", "a port",
            "Without it nobody sees metrics, and `/live` and `/ready` do not answer.",
        )  # fmt: skip


def _unset(name: str, expected: str) -> Finding:
    return Finding(_CHECK, "problem", f"{name} is not set", expected, "See docs/settings.md.")

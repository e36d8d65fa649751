"""What `sluice doctor` does: asks the settings and both servers for facts, and lets the rules judge them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.topics import INPUTS, OUTPUTS, UNMAPPED
from workers.app.database_failures import explained
from workers.app.settings import Settings, load_settings
from workers.errors import SettingsError, SluiceError
from workers.kafka import inspection as of_kafka
from workers.rules.clock_checks import clock_findings
from workers.rules.database_checks import database_findings
from workers.rules.findings import LEVELS, Finding, worst
from workers.rules.kafka_checks import KafkaNeeds, kafka_findings
from workers.rules.settings_checks import SettingsFacts, settings_findings
from workers.store import inspection as of_database
from workers.store import migrate
from workers.store.pool import connected

Clock = Callable[[], float]
"""Unix time of this machine, in seconds."""
WATCH_S: Final = 1.0
"""How long to wait for a record with the time of a broker."""
_WIDTH: Final = 9


class Purpose(NamedTuple):
    """What a process of a kind needs of the servers. `role`: None if it does not use the database. `groups` without the
    prefix.
    """

    role: str | None
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    groups: Sequence[str] = ()


_INPUTS: Final = tuple(topic.name for topic in INPUTS)
_OUTPUTS: Final = tuple(topic.name for topic in OUTPUTS)
PURPOSES: Final[Mapping[str, Purpose]] = {
    "worker": Purpose(
        "sluice_worker",
        (*_INPUTS, "contacts.changes", "billing.mac"),
        _OUTPUTS,
        ("inbound", "outbound", "commands", "workflows"),
    ),
    "receiver": Purpose(None, (), ("messages.inbound", "messages.receipts", UNMAPPED.name)),
    "sender": Purpose("sluice_sender", ("sends.dispatch",), ("messages.receipts",), ("send",)),
    "console": Purpose(
        "sluice_console",
        (
            *("sends.status", "commands.results", "billing.mac", "dead.letters"),
            *("messages.accepted", "messages.dropped", "messages.revised"),
        ),
        ("contacts.commands", "messages.outbound"),
    ),
    "engine": Purpose(None, ("workflows.control",)),
}
"""As docs/operations.md tells the rights of each process."""


class Asked(NamedTuple):
    """What the command line asks for. The numbers are None if any will do."""

    purpose: str = "worker"
    partitions: int | None = None
    replication: int | None = None


async def examined(asked: Asked, now: Clock = time.time, watch_s: float = WATCH_S) -> list[Finding]:
    """Every finding, in the order of the checks. A server that cannot be asked is a finding as well."""
    purpose = PURPOSES[asked.purpose]
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Finding("settings", "problem", str(error), "settings that fit", "See docs/settings.md.")]
    found = settings_findings(_of_settings(settings), asked.purpose, needs_database=purpose.role is not None)
    known: Mapping[str, int] = {}
    if purpose.role is not None and settings.database_url is not None:
        more, known = await _database(settings, purpose.role, now)
        found += more
    if settings.kafka_bootstrap is not None:
        found += await _kafka(settings, asked, known, now, watch_s)
    return found


def _of_settings(settings: Settings) -> SettingsFacts:
    return SettingsFacts(
        database=settings.database_url is not None,
        kafka=settings.kafka_bootstrap is not None,
        brokers=settings.kafka_bootstrap or "",
        encrypted=settings.kafka_security_protocol.endswith("SSL"),
        hash_key=settings.hash_key is not None,
        metrics=settings.metrics_port is not None,
        channels_file=settings.channels_file is not None,
    )


async def _database(settings: Settings, role: str, now: Clock) -> tuple[list[Finding], Mapping[str, int]]:
    try:
        with explained():
            connection = await connected(settings.required_database_url(), "sluice/doctor")
            try:
                facts = await of_database.facts(connection, role)
                known = await of_database.highest_partitions(connection)
                clock = await of_database.clock(connection, now)
            finally:
                await connection.close()
    except SluiceError as error:
        return [_away("database", error)], {}
    found = database_findings(facts, role, migrate.newest(), settings.database_connections)
    return [*found, *clock_findings([clock])], known


async def _kafka(
    settings: Settings, asked: Asked, known: Mapping[str, int], now: Clock, watch_s: float
) -> list[Finding]:
    purpose = PURPOSES[asked.purpose]
    needs = KafkaNeeds(purpose.reads, purpose.writes, settings.session_timeout_ms, asked.partitions, asked.replication)
    groups = [f"{settings.group_prefix}-{name}" for name in purpose.groups]
    try:
        cluster = settings.kafka()
        facts = await of_kafka.facts(cluster, needs.topics, groups, known)
        found = kafka_findings(facts, needs)
        readable = [topic for name, topic in facts.topics.items() if name in purpose.reads and _may_read(topic.rights)]
        return [*found, *clock_findings([await of_kafka.clock(cluster, readable, now, watch_s)])]
    except SluiceError as error:
        return [_away("Kafka", error)]


def _may_read(rights: Any) -> bool:
    return rights is None or "Read" in rights


def _away(server: str, error: SluiceError) -> Finding:
    return Finding(server, "problem", str(error), "a server that answers", "Start it, or correct the setting.")


def document(findings: Sequence[Finding]) -> Mapping[str, Any]:
    """For machines: the worst level, and every finding."""
    return {"level": worst(findings), "findings": [finding._asdict() for finding in findings]}


def lines(findings: Sequence[Finding]) -> list[str]:
    """For people: a line for each finding, below it what was expected and what to do if it is not well, and a sum."""
    told = []
    for finding in findings:
        told.append(f"{finding.level:<{_WIDTH}}{finding.check}: {finding.found}")
        if finding.level != "ok":
            told += [f"{'':<{_WIDTH}}expected: {finding.expected}", f"{'':<{_WIDTH}}{finding.advice}"]
    numbers = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    return [*told, "", f"{numbers['problem']} problems, {numbers['warning']} warnings; {numbers['ok']} checks are fine"]

"""`sluice doctor` on a broker that has access control lists and limits of its own."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest
from confluent_kafka import admin as untyped

from tests.support.brokers import Broker
from tests.support.databases import worker_of
from tests.support.kafka import demand, real_kafka
from workers.cli import doctor
from workers.cli.doctor import Asked
from workers.kafka import topics
from workers.rules.findings import Finding

_ADMIN: Final[Any] = untyped  # its names are not exported as types want it
# A resource without an entry is open to all; one entry closes it to everybody whom no entry names.
LISTS = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
group.max.session.timeout.ms=20000
"""


@pytest.fixture
def listed() -> Iterator[Broker]:
    demand()
    with real_kafka(LISTS) as server:
        yield Broker("kafka", server.bootstrap)


def allow(broker: Broker, *wanted: tuple[Any, str, Any]) -> None:
    """Closes each resource, but for one operation of our login."""
    admin = _ADMIN.AdminClient({"bootstrap.servers": broker.bootstrap})
    entries = [
        _ADMIN.AclBinding(
            kind,
            name,
            _ADMIN.ResourcePatternType.LITERAL,
            "User:ANONYMOUS",
            "*",
            operation,
            _ADMIN.AclPermissionType.ALLOW,
        )
        for kind, name, operation in wanted
    ]
    for done in admin.create_acls(entries).values():
        done.result(30)


def told_of(findings: Sequence[Finding], check: str) -> list[tuple[str, str]]:
    return [(finding.level, finding.found) for finding in findings if finding.check == check]


@pytest.mark.kafka
async def test_rights_and_limits_of_a_broker(
    listed: Broker, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_DATABASE_URL", await worker_of(database))
    monkeypatch.setenv("SLUICE_KAFKA_BOOTSTRAP", listed.bootstrap)
    await topics.ensure(listed.cluster(), 1)
    see: Callable[..., Any] = doctor.examined
    before = await see(Asked(), watch_s=0.1)
    assert told_of(before, "Kafka rights") == [("ok", "those of this process")]
    assert told_of(before, "time-out of the group") == [("problem", "SLUICE_SESSION_TIMEOUT_MS is 30000")]

    allow(
        listed,
        (_ADMIN.ResourceType.TOPIC, "messages.inbound", _ADMIN.AclOperation.DESCRIBE),
        (_ADMIN.ResourceType.TOPIC, "messages.accepted", _ADMIN.AclOperation.READ),
        (_ADMIN.ResourceType.TOPIC, "dead.letters", _ADMIN.AclOperation.WRITE),
        (_ADMIN.ResourceType.TOPIC, "sends.status", _ADMIN.AclOperation.DESCRIBE_CONFIGS),
        (_ADMIN.ResourceType.GROUP, "sluice-inbound", _ADMIN.AclOperation.DESCRIBE),
        (_ADMIN.ResourceType.GROUP, "sluice-commands", _ADMIN.AclOperation.DELETE),
        (_ADMIN.ResourceType.GROUP, "sluice-workflows", _ADMIN.AclOperation.READ),
    )
    monkeypatch.setenv("SLUICE_SESSION_TIMEOUT_MS", "15000")
    after = await see(Asked(), watch_s=0.1)

    assert told_of(after, "Kafka rights") == [
        ("problem", "no right to read: messages.inbound"),
        ("problem", "no right to write: messages.accepted"),
        ("problem", "group sluice-inbound: no right to read"),
        ("problem", "group sluice-commands: no right to read"),
    ]
    [settings] = told_of(after, "topic settings")
    assert settings == (
        "warning",
        "the cluster does not return those of messages.inbound, messages.accepted, dead.letters",
    )
    assert told_of(after, "time-out of the group") == [("ok", "15000 ms")]
    assert told_of(after, "topics") == [("problem", "missing, or not visible to this login: sends.status")]
    [advice] = [finding.advice for finding in after if finding.found.startswith("no right to read")]
    assert "--operation Read --topic messages.inbound" in advice

"""A program that lacks a right in Kafka: one line that says which, with the command that grants it, and exit code 2."""

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from connectors.receiver.process import serve as receive
from connectors.sender.process import send
from console.process import serve
from schemas.kafka_rights import Operation, Resource, Right, acls_of
from tests.cli.commands import Sluice
from tests.connectors.test_receiver import TELEGRAM
from tests.support.brokers import PATIENCE_S
from tests.support.databases import HASH_KEY, console_of, sender_of, worker_of
from tests.support.guarded_kafka import Guarded
from workers.app.settings import Settings, load_settings
from workers.errors import ExitCode, SetupError
from workers.kafka import acls
from workers.kafka import topics as kafka_topics
from workers.process.http_server import listening

pytestmark = pytest.mark.kafka

NUMBERS: Final = count(1)


async def lacking(guarded: Guarded, role: str, lacks: Callable[[Right], bool]) -> str:
    """A new user with the rights of the role but for these."""
    await kafka_topics.ensure(guarded.broker.cluster(), 2, 1)
    user = f"{role}{next(NUMBERS)}"
    wanted = acls_of([(role, f"User:{user}")], guarded.broker.topic_prefix, guarded.broker.group_prefix)
    await acls.apply(guarded.broker.cluster(), [acl for acl in wanted if not lacks(acl.right)])
    return user


def sluice(folder: Path, **settings: object) -> Sluice:
    return Sluice(folder, **{name.upper(): value for name, value in settings.items()})


@pytest.mark.parametrize(
    ("operation", "resource", "name"),
    [
        (Operation.READ, Resource.TOPIC, "messages.inbound"),
        (Operation.WRITE, Resource.TOPIC, "dead.letters"),
        (Operation.READ, Resource.GROUP, "inbound"),
    ],
)
async def test_a_worker_names_the_right_and_the_command_that_grants_it(
    guarded: Guarded, database: str, tmp_path: Path, operation: Operation, resource: Resource, name: str
) -> None:
    broker = guarded.broker
    whole = f"{broker.group_prefix}-{name}" if resource is Resource.GROUP else broker.topic_prefix + name
    user = await lacking(guarded, "worker", lambda r: (r.operation, r.resource, r.name) == (operation, resource, whole))
    login = guarded.by_scram(user)
    worker = sluice(tmp_path, database_url=await worker_of(database), hash_key=HASH_KEY, **login)
    ended = await asyncio.to_thread(worker.run, "worker", "inbound")
    lines = [json.loads(line) for line in ended.err.splitlines()]
    [told] = [line["event"] for line in lines if line["level"] == "error"]

    assert ended.code == ExitCode.SETUP
    assert told.startswith(f"Kafka does not grant the user {user}: {operation} on {resource} {whole}. Grant it: ")

    words = shlex.split(told.partition("Grant it: ")[2])
    prefixes = {"topic_prefix": broker.topic_prefix, "group_prefix": broker.group_prefix}
    admin = sluice(tmp_path, kafka_bootstrap=broker.bootstrap, **prefixes)
    granted = await asyncio.to_thread(admin.run, *words[1:])
    assert (granted.code, granted.err) == (0, "")
    with worker.running("worker", "inbound") as working:
        await asyncio.to_thread(working.until_consuming)
        assert (await asyncio.to_thread(working.stop)).code == ExitCode.CLEAN


async def test_a_worker_without_any_right_names_a_few(guarded: Guarded, database: str, tmp_path: Path) -> None:
    user = await lacking(guarded, "worker", lambda _: True)
    worker = sluice(tmp_path, database_url=await worker_of(database), hash_key=HASH_KEY, **guarded.by_scram(user))
    ended = await asyncio.to_thread(worker.run, "worker", "all")
    [told] = [one["event"] for one in map(json.loads, ended.err.splitlines()) if one["level"] == "error"]

    assert ended.code == ExitCode.SETUP
    assert re.search(r"Read on topic \S+, Read on topic \S+, Read on topic \S+ and \d+ more\. Grant it: sluice", told)


async def test_a_right_that_is_taken_away_ends_a_worker(guarded: Guarded, database: str, tmp_path: Path) -> None:
    user = await lacking(guarded, "worker", lambda _: False)
    worker = sluice(tmp_path, database_url=await worker_of(database), hash_key=HASH_KEY, **guarded.by_scram(user))
    with worker.running("worker", "inbound") as working:
        await asyncio.to_thread(working.until_consuming)
        guarded.take_away(user, guarded.broker.topic_prefix + "dead.letters")
        await guarded.broker.produce("messages.inbound", [(b"k", b"no record")])
        code = await asyncio.to_thread(working.ended)
    told = [json.loads(line)["event"] for line in (tmp_path / "err").read_text().splitlines()]

    assert code == ExitCode.SETUP
    assert any("Kafka refuses writes" in line and "sluice topics --acls" in line for line in told), told


async def test_receivers_senders_and_consoles_say_it_as_well(guarded: Guarded, database: str) -> None:
    def settings_of(user: str, url: str | None = None) -> Settings:
        return load_settings(**guarded.by_scram(user), database_url=url, hash_key=HASH_KEY)

    stop = asyncio.Event()
    grant = "Grant it: sluice topics --apply-acls --principal '{0}=User:{1}'"

    user = await lacking(guarded, "receiver", lambda right: right.name.endswith("unmapped"))
    with listening("127.0.0.1", 0) as sock, pytest.raises(SetupError) as receiver:
        await asyncio.wait_for(receive(settings_of(user), [TELEGRAM], sock, stop), PATIENCE_S)
    assert str(receiver.value).endswith(
        f"Write on topic {guarded.broker.topic_prefix}webhooks.unmapped. " + grant.format("receiver", user)
    )

    user = await lacking(guarded, "sender", lambda right: right.resource is Resource.GROUP)
    group = f"{guarded.broker.group_prefix}-send"
    with pytest.raises(SetupError) as sender:
        await asyncio.wait_for(send(settings_of(user, await sender_of(database)), [TELEGRAM], group, stop), PATIENCE_S)
    assert str(sender.value).endswith(f"Read on group {group}. " + grant.format("sender", user))

    user = await lacking(guarded, "console", lambda right: right.name.endswith("sends.status"))
    with listening("127.0.0.1", 0) as sock, pytest.raises(SetupError) as console:
        await asyncio.wait_for(serve(settings_of(user, await console_of(database)), sock, stop), PATIENCE_S)
    assert str(console.value).endswith(
        f"Read on topic {guarded.broker.topic_prefix}sends.status. " + grant.format("console", user)
    )


async def test_a_login_that_may_not_set_acls_is_told_so(guarded: Guarded, tmp_path: Path) -> None:
    login = guarded.by_scram("nobody")
    ended = await asyncio.to_thread(
        sluice(tmp_path, **login).run, "topics", "--apply-acls", "--principal", "worker=User:nobody"
    )

    assert ended.code == ExitCode.SETUP
    assert ended.err == (
        "sluice: Kafka does not let this login see and set ACLs: it needs Alter and Describe on the cluster\n"
    )

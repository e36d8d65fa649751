"""Every kind of program at its work on Kafka over TLS, each with a login that has the rights of its role and no others.

The workers of the stage log in as `worker` for the whole file. What a login may do is asked of the broker for every
topic and group, and one act beyond it is tried.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as kafka

from connectors.receiver.process import serve as receive
from connectors.sender.process import send
from schemas.kafka_rights import ROLES, Operation, Resource, Right, acls_of, rights_of
from schemas.topics import EVERY_TOPIC
from tests.acceptance.making import WHATSAPP
from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.connectors.serving import LOOPBACK, Server
from tests.connectors.test_receiver import TOKEN, update
from tests.connectors.vectors import channel_of
from tests.console.listening import listening as hearing
from tests.console.running import served, team_of
from tests.support.brokers import PATIENCE_S
from tests.support.databases import HASH_KEY, Databases, console_of, sender_of
from tests.support.guarded_kafka import Guarded
from workers.app.settings import Settings, load_settings
from workers.kafka import acls
from workers.process.health import Health
from workers.process.http_server import listening

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

CHANNEL: Final = channel_of("telegram", workspace_id="w-rights")


async def allowed(guarded: Guarded, role: str) -> Settings:
    """Settings of a login that has the rights of the role, and is named like it."""
    told = guarded.by_scram(role)
    principal = f"User:{role}"
    wanted = acls_of([(role, principal)], guarded.broker.topic_prefix, guarded.broker.group_prefix)
    await acls.apply(guarded.broker.cluster(), wanted)
    return load_settings(**told, session_timeout_ms=6_000, hash_key=HASH_KEY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(guarded: Guarded, databases: Databases) -> AsyncIterator[Stage]:
    """Topics, and workers that log in with the rights of a worker."""
    await allowed(guarded, "worker")
    async with databases.migrated() as url, set_stage(guarded.broker, url, **guarded.by_scram("worker")) as opened:
        yield opened


@pytest.fixture
def workspace(stage: Stage) -> Workspace:
    return Workspace(stage, CHANNEL.workspace_id)


# --- what a login may do


async def granted(settings: Settings) -> set[Right]:
    """What the broker lets the login do with Sluice's topics, and the groups of every role."""
    cluster, prefix = settings.kafka(), settings.group_prefix
    topics = [Right(Resource.TOPIC, cluster.topic(name), one) for name in EVERY_TOPIC for one in Operation]
    groups = {r.name for role in ROLES for r in rights_of(role, "", prefix) if r.resource is Resource.GROUP}
    every = [*topics, *(Right(Resource.GROUP, name, Operation.READ) for name in (*groups, f"{prefix}-other"))]
    lacking = set(await acls.lacking(cluster, every))
    return {right for right in every if right not in lacking}


@pytest.mark.parametrize("role", ROLES)
async def test_the_broker_grants_the_rights_of_a_role_and_no_others(guarded: Guarded, stage: Stage, role: str) -> None:
    settings = await allowed(guarded, role)
    wanted = rights_of(role, settings.topic_prefix, settings.group_prefix)

    assert stage.broker is guarded.broker
    assert await granted(settings) == {Right(right.resource, right.name, right.operation) for right in wanted}


async def may_write(settings: Settings, topic: str) -> bool:
    producer = AIOKafkaProducer(acks="all", request_timeout_ms=5_000, **settings.kafka().clients("test"))
    try:
        await producer.start()
        await producer.send_and_wait(settings.kafka().topic(topic), b"{}", b"k")
    except kafka.TopicAuthorizationFailedError:
        return False
    else:
        return True
    finally:
        await producer.stop()


async def first_read(settings: Settings, topic: str, group: str | None = None) -> Any:
    """The first record that the login reads. Raises if Kafka refuses it."""
    consumer = AIOKafkaConsumer(
        settings.kafka().topic(topic),
        group_id=group,
        auto_offset_reset="earliest",
        **settings.kafka().clients("test"),
    )
    try:
        await consumer.start()
        return await asyncio.wait_for(consumer.getone(), PATIENCE_S)
    finally:
        await consumer.stop()


# --- each program


async def test_workers_do_all_their_work(guarded: Guarded, workspace: Workspace) -> None:
    await workspace.play(workspace.message("hello"))
    await workspace.play(workspace.command("block_contact", identity=WHATSAPP))
    await workspace.play(workspace.message("still there?"))
    await workspace.stage.publish("messages.inbound", (b"x", b"no record"))
    topics = {out.topic for out in await workspace.stage.everything()}

    assert {"messages.accepted", "messages.dropped", "commands.results", "dead.letters"} <= topics
    assert {"contacts.changes", "billing.mac"} <= topics
    assert not await may_write(await allowed(guarded, "worker"), "contacts.commands")


@asynccontextmanager
async def receiver(settings: Settings) -> AsyncIterator[Server]:
    sock, stop, ready = listening(LOOPBACK, 0), asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(receive(settings, [CHANNEL], sock, stop, Health(ready.set)))
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        yield Server(sock.getsockname()[1])
    finally:
        stop.set()
        await serving


async def test_a_receiver_brings_messages_and_gives_no_commands(guarded: Guarded, stage: Stage) -> None:
    settings = await allowed(guarded, "receiver")
    async with receiver(settings) as server:
        answer = await server.posts(CHANNEL, update("from outside"), TOKEN)
    [record] = [one for one in await stage.broker.read_all("messages.inbound") if b"from outside" in (one.value or b"")]

    assert (answer.status, json.loads(record.value or b"")["workspace_id"]) == (200, CHANNEL.workspace_id)
    assert not await may_write(settings, "contacts.commands")


class _Telegram(BaseHTTPRequestHandler):
    """Takes every message."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"ok": true, "result": {"message_id": 7, "chat": {"id": 5}}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@contextmanager
def telegram() -> Iterator[str]:
    with ThreadingHTTPServer((LOOPBACK, 0), _Telegram) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_sender_sends_and_reports_and_asks_for_nothing_itself(guarded: Guarded, workspace: Workspace) -> None:
    settings = await allowed(guarded, "sender")
    identity: dict[str, Any] = {"channel": "telegram", "channel_id": CHANNEL.channel_id}
    await workspace.play(workspace.message("hi", address="5", **identity))
    one = workspace.send("an answer", to={"address": "5"}, **identity)
    told = settings.model_copy(
        update={"database_url": load_settings(database_url=await sender_of(workspace.stage.database)).database_url}
    )
    stop = asyncio.Event()
    with telegram() as url:
        channel = channel_of("telegram", workspace_id=CHANNEL.workspace_id, base_url=url)
        sending = asyncio.create_task(send(told, [channel], f"{settings.group_prefix}-send-rights", stop))
        await workspace.play(one)
        await workspace.stage.until(lambda: _is_sent(workspace, one["send_id"]), "it was not sent")
        stop.set()
        await sending

    assert not await may_write(settings, "messages.outbound")


async def _is_sent(workspace: Workspace, send_id: str) -> bool:
    rows = await workspace.rows("sends")
    return any(str(row["send_id"]) == send_id and row["status"] == "sent" for row in rows)


async def test_a_console_gives_commands_and_hears_what_happens_and_reads_no_commands(
    guarded: Guarded, stage: Stage
) -> None:
    settings = await allowed(guarded, "console")
    url = load_settings(database_url=await console_of(stage.database)).database_url
    async with (
        served(settings.model_copy(update={"database_url": url}), stage) as console,
        team_of(console) as team,
        hearing(team.agent.pages, team.agent.at("events")) as told,
    ):
        path = f"/workspaces/{team.workspace.id}/commands"
        answer = await team.owner.api.post(path, json={"command": "define_status", "name": "vip", "protected": True})
        event = await told.next("results")

    assert (answer.status_code, answer.json()["outcome"]) == (200, "done")
    assert event.data["command_id"] == answer.json()["command_id"]
    with pytest.raises(kafka.TopicAuthorizationFailedError):
        await first_read(settings, "contacts.commands")


async def test_a_billing_reader_reads_counts_and_no_messages(guarded: Guarded, workspace: Workspace) -> None:
    settings = await allowed(guarded, "billing")
    await workspace.play(workspace.message("counted"))
    count = await first_read(settings, "billing.mac", f"{settings.group_prefix}-billing-reader-1")

    assert json.loads(count.value)["active_contacts"] >= 1
    with pytest.raises(kafka.TopicAuthorizationFailedError):
        await first_read(settings, "messages.accepted", f"{settings.group_prefix}-billing-reader-1")
    with pytest.raises(kafka.GroupAuthorizationFailedError):
        await first_read(settings, "billing.mac", f"{settings.group_prefix}-inbound")


async def test_a_connector_from_outside_brings_and_fetches_and_asks_for_no_sends(
    guarded: Guarded, workspace: Workspace
) -> None:
    settings = await allowed(guarded, "connector")
    identity: dict[str, Any] = {"channel": "telegram", "channel_id": CHANNEL.channel_id}
    await workspace.play(workspace.message("hi", address="6", **identity))
    await workspace.play(workspace.send("an answer", to={"address": "6"}, **identity))
    dispatch = await first_read(settings, "sends.dispatch", f"{settings.group_prefix}-connector")

    assert json.loads(dispatch.value)["workspace_id"] == workspace.id
    assert await may_write(settings, "messages.inbound")
    assert await may_write(settings, "messages.receipts")
    assert not await may_write(settings, "messages.outbound")

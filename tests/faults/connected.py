"""What tests of receivers and senders share: workers at work, and for each test a workspace with channels of its own,
whose provider is played within the test and remembers every call.
"""

import asyncio
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.channels import channels_of
from connectors.provider import Answer, Channel
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.played import ApiRequest
from connectors.simulator.playing import NoAnswer, Simulator
from connectors.simulator.server import SimulatorServer
from tests.acceptance.making import key_of
from tests.acceptance.stage import Json, Stage, Workspace
from tests.faults import connector_processes, forking
from tests.faults.process import Fault, WorkerProcess
from tests.support.brokers import Broker
from tests.support.databases import HASH_KEY, sender_of
from tests.support.kafka import KafkaServer
from tests.support.ports import free_port
from workers.dev.broker import PARTITIONS
from workers.kafka import topics
from workers.process.http_server import listening, serve_http
from workers.store.pool import pool_of

SECRET: Final = "of-this-test"  # noqa: S105 - made up
EARLIER_LIFE_S: Final = 2.0
TIMEOUT_S: Final = 3.0
_NUMBERS: Final = re.compile(rb"no-\d+\b")
_KEYS: Final = {
    "telegram": 'bot_token = "env:CONNECTOR_SECRET"\nsecret_token = "env:CONNECTOR_SECRET"',
    "line": 'channel_secret = "env:CONNECTOR_SECRET"\nchannel_access_token = "env:CONNECTOR_SECRET"',
    "custom": 'channel = "sms"\nsigning_secret = "env:CONNECTOR_SECRET"\nsend_url = "https://example.com/send"',
}
_OPEN: Final = """
    SELECT count(*) FROM sluice.send_attempts
    WHERE workspace_id = $1 AND claimed_at IS NOT NULL AND status = 'dispatched'
"""
_WAITING: Final = "SELECT count(*) FROM sluice.sends WHERE workspace_id = $1 AND status = 'dispatched'"


class Provider(Simulator):
    """The simulator, which remembers its calls by their texts. `answers`: what it answers to a text instead of taking
    it; `faults`: how the next calls with a text go wrong. Every answer comes after `pause_s`.
    """

    def __init__(self, channels: Sequence[Channel], deliveries: Deliveries) -> None:
        super().__init__(channels, deliveries, reports=False)
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.faults: dict[str, list[str]] = {}
        self.pause_s = 0.0

    def call(self, channel: Channel, request: ApiRequest) -> Answer | NoAnswer:
        [text] = {found.decode() for found in _NUMBERS.findall(request.body)}
        self.asked.append(text)
        if text in self.answers:
            return self.answers[text]
        if faults := self.faults.get(text):
            self.schedule(channel, faults.pop(0))
        return super().call(channel, request)

    async def has_heard_so_many(self, calls: int, timeout_s: float = 30.0) -> None:
        """Waits until there were so many calls."""
        async with asyncio.timeout(timeout_s):
            while len(self.asked) < calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def has_told_everything(self, timeout_s: float = 60.0) -> None:
        """Waits until the receiver took every webhook, repeats included."""
        async with asyncio.timeout(timeout_s):
            while self._deliveries.under_way:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def shown(self) -> Counter[str]:
        """How often each text is on a phone."""
        phones = self.phones.document()
        return Counter(message["text"] for phone in phones for message in phone["messages"])

    async def has_heard(self, text: str, timeout_s: float = 30.0) -> None:
        """Waits for a call with this text."""
        async with asyncio.timeout(timeout_s):
            while text not in self.asked:  # noqa: ASYNC110 - the provider is as it is for users
                await asyncio.sleep(0.01)


class _Slow:
    """Lets requests wait for the provider's pause."""

    def __init__(self, app: ASGIApp, provider: Provider) -> None:
        self._app = app
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/api/"):
            await asyncio.sleep(self._provider.pause_s)
        await self._app(scope, receive, send)


class Connected:
    """A workspace with the channels `telegram`, `line` and `custom`, and processes that serve them."""

    def __init__(self, workspace: Workspace, file: Path, environment: Mapping[str, str], receiver_port: int) -> None:
        self.workspace = workspace
        self.file = file
        self.environment = dict(environment)
        self.receiver_port = receiver_port
        self.started: list[WorkerProcess] = []
        self.channels: dict[str, Channel] = {}
        self.provider: Provider
        self._numbers = 0
        self._simulator = ""

    @property
    def stage(self) -> Stage:
        return self.workspace.stage

    @property
    def group(self) -> str:
        """The group of its senders."""
        return f"{self.environment['SLUICE_GROUP_PREFIX']}-send"

    def write(self, simulator: str = "", **timeouts: float) -> None:
        """Writes the channels file. `simulator`: where the providers are, if that changes; `timeouts` by channel."""
        self._simulator = simulator or self._simulator
        entries = [
            f'[[channel]]\nworkspace_id = "{self.workspace.id}"\nchannel_id = "{name}"\nprovider = "{name}"\n'
            f'base_url = "{self._simulator}/api/{self.workspace.id}/{name}"\n'
            f"timeout_s = {timeouts.get(name, TIMEOUT_S)}\n{keys}"
            for name, keys in _KEYS.items()
        ]
        self.file.write_text("\n\n".join(entries), encoding="utf-8")
        self.channels = {one.channel_id: one for one in channels_of(self.file, lambda _: SECRET)}

    async def start(self, main: Any, plan: str, fault: Fault | None, environment: Mapping[str, str]) -> WorkerProcess:
        """A process, which is killed at the end of the test if it is still there."""
        log = self.file.parent / f"{main.__name__}-{len(self.started)}.log"
        # The provider goes on meanwhile.
        one = await asyncio.to_thread(forking.fork, plan, self.environment | dict(environment), log, fault, main)
        self.started.append(one)
        return one

    async def sender(self, fault: Fault | None = None, group: str = "", **environment: str) -> WorkerProcess:
        """A sender at work."""
        one = await self.start(connector_processes.send, group, fault, environment)
        await one.has_logged("ready")
        return one

    async def receiver(self, fault: Fault | None = None, **environment: str) -> WorkerProcess:
        """A receiver at work. One with a fault may have ended."""
        one = await self.start(connector_processes.receive, str(self.receiver_port), fault, environment)
        if fault is None:
            await one.has_logged("ready")
        return one

    async def killed(self, sender: WorkerProcess) -> None:
        """Waits until a sender was killed; the next one need not wait for its session."""
        assert await sender.ended() == -SIGKILL, sender.tail()
        await forking.expel(self.stage.broker, self.group)

    def next_number(self) -> int:
        """A number that this test has not used."""
        self._numbers += 1
        return self._numbers

    def sends(self, count: int, channel: str = "telegram", to: Sequence[str] = (), **fields: Any) -> list[Json]:
        """Sends with texts of their own, to so many people, or in turn to these."""
        made = []
        for _ in range(count):
            number = self.next_number()
            address = to[number % len(to)] if to else address_of(channel, number)
            kind = self.channels[channel].kind
            told = {"channel": kind, "channel_id": channel, "to": {"address": address}} | fields
            made.append(self.workspace.send(f"no-{number}", **told))
        return made

    async def play(self, *sends: Json, wait: bool = True) -> None:
        """Publishes sends, after a message of each person: a bot may write only to people who have written. Returns
        once they are applied, if it is to wait.
        """
        people = {(send["channel"], send["channel_id"], send["to"]["address"]) for send in sends}
        await self.workspace.play_together(
            *(
                self.workspace.message(address=address, channel=channel, channel_id=id_)
                for channel, id_, address in sorted(people)
            )
        )
        if wait:
            await self.workspace.play_together(*sends)
        else:
            records = [(key_of(send), msgspec.json.encode(send)) for send in sends]
            await self.stage.publish("messages.outbound", *records)

    def calls(self) -> Counter[str]:
        """How often the provider was called with each text."""
        return Counter(self.provider.asked)

    async def settled(self, patience_s: float = 40.0) -> None:
        """Waits until every attempt has a receipt, and none is due at once."""

        async def reached() -> bool:
            open_ = await self.stage.pool.fetchval(_OPEN, self.workspace.id)
            return not open_ and not await self.stage.pool.fetchval(_WAITING, self.workspace.id)

        try:
            await self.stage.until(reached, "attempts without receipt", patience_s)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.told()}") from error

    async def settled_claims(self, patience_s: float = 40.0) -> None:
        """Waits until every attempt that was claimed has a receipt."""

        async def reached() -> bool:
            return not await self.stage.pool.fetchval(_OPEN, self.workspace.id)

        await self.stage.until(reached, "claimed attempts without receipt", patience_s)

    async def settled_claims_of(self, *sends: Json) -> None:
        """Waits until each of these sends has an attempt that was claimed, with a receipt."""

        async def reached() -> bool:
            attempts = await self.attempts(*sends)
            return all(found and "dispatched" not in found for found in attempts)

        await self.stage.until(reached, "no claimed attempts with receipts")

    async def assert_committed(self, patience_s: float = 0.0) -> None:
        """The group has committed the end of every partition, or does so in this time."""
        broker, deadline = self.stage.broker, time.monotonic() + patience_s
        ends = {p: end for p, end in (await broker.ends("sends.dispatch")).items() if end}
        while (committed := await broker.committed(self.group, "sends.dispatch")) != ends:
            assert time.monotonic() < deadline, (committed, ends, self.told())
            await asyncio.sleep(0.1)

    async def attempts(self, *sends: Json) -> list[list[str]]:
        """The statuses of the claimed attempts of each send, in order; a failure with its code (`failed busy`)."""
        rows = sorted(await self.workspace.rows("send_attempts"), key=lambda row: row["attempt"])
        found: dict[str, list[str]] = {send["send_id"]: [] for send in sends}
        for row in rows:
            if row["claimed_at"] and str(row["send_id"]) in found:
                status = f"{row['status']} {row['error_code'] or ''}".strip()
                found[str(row["send_id"])].append(status)
        return [*found.values()]

    async def assert_nothing_twice(self, *sends: Json) -> None:
        """There is at most one call of each attempt."""
        calls = self.calls()
        for send, attempts in zip(sends, await self.attempts(*sends), strict=True):
            assert calls[text_of(send)] <= len(attempts), (text_of(send), self.told())

    def told(self) -> str:
        """The ends of all logs, for the report of a failure."""
        return "\n\n".join(f"{one.log.name} (code {one.code}):\n{one.tail()}" for one in self.started)


def say(connectors: Connected, count: int) -> list[str]:
    """So many people write on each channel, now; the texts."""
    texts = []
    for _ in range(count):
        number = connectors.next_number()
        for channel in connectors.channels.values():
            texts.append(f"{channel.channel_id} {number}")
            connectors.provider.say(channel, address_of(channel.channel_id, number), texts[-1])
    return texts


async def assert_applied_once(connectors: Connected, texts: list[str]) -> None:
    """Every text is one message; `x…` may be one or none."""
    stage = connectors.stage
    await stage.broker.caught_up(stage.pool, "messages.inbound")
    accepted = [json.loads(record.value or b"") for record in await stage.broker.read_all("messages.accepted")]
    ours = [out for out in accepted if out["workspace_id"] == connectors.workspace.id]
    ids = {out["message_id"]: out["content"]["text"] for out in ours}
    assert Counter(text for text in ids.values() if not text.startswith("x")) == Counter(texts), connectors.told()


def text_of(send: Json) -> str:
    """The text of a send."""
    text: str = send["content"]["text"]
    return text


def address_of(channel: str, number: int) -> str:
    """An address of a channel."""
    if channel == "custom":
        return f"+49151{number:08}"
    return f"U{number:032x}" if channel == "line" else f"{1_000_000 + number}"


@asynccontextmanager
async def connected(stage: Stage, folder: Path) -> AsyncIterator[Connected]:
    """A workspace of its own with channels, whose provider is at work."""
    workspace = Workspace(stage, f"w-{uuid.uuid4().hex[:12]}")
    file = folder / "channels.toml"
    environment = {
        "SLUICE_DATABASE_URL": await sender_of(stage.database),
        "SLUICE_KAFKA_BOOTSTRAP": stage.broker.bootstrap,
        "SLUICE_TOPIC_PREFIX": stage.broker.topic_prefix,
        "SLUICE_GROUP_PREFIX": f"g{workspace.id}",
        "SLUICE_SESSION_TIMEOUT_MS": "6000",
        "SLUICE_CHANNELS_FILE": str(file),
        "CONNECTOR_SECRET": SECRET,
        "FAULT_EARLIER_LIFE": str(EARLIER_LIFE_S),
    }
    one = Connected(workspace, file, environment, free_port())
    sock = listening("127.0.0.1", 0)
    one.write(f"http://127.0.0.1:{sock.getsockname()[1]}")
    stop = asyncio.Event()
    deliveries = Deliveries(f"http://127.0.0.1:{one.receiver_port}")
    one.provider = Provider(list(one.channels.values()), deliveries)
    app = SimulatorServer(one.provider).app
    app.add_middleware(_Slow, provider=one.provider)
    serving = asyncio.create_task(serve_http(app, sock, stop))
    try:
        yield one
    finally:
        for process in one.started:
            process.send(SIGKILL)
        for process in one.started:
            await process.ended()
        await one.provider.stop()
        await deliveries.stop()
        stop.set()
        await serving
        sock.close()


@asynccontextmanager
async def alone(kafka: KafkaServer, database: str, folder: Path) -> AsyncIterator[Connected]:
    """As `connected`, on servers that may go away: the workers are a process of their own."""
    broker = Broker("kafka", kafka.bootstrap)
    await topics.ensure(broker.cluster(), PARTITIONS, 1)
    environment = {
        "SLUICE_DATABASE_URL": database,
        "SLUICE_KAFKA_BOOTSTRAP": broker.bootstrap,
        "SLUICE_SESSION_TIMEOUT_MS": "6000",
        "SLUICE_HASH_KEY": HASH_KEY,
    }
    working: Any = asyncio.get_running_loop().create_future()  # a stage asks only whether it has ended
    async with pool_of(database, name="test", max_size=2) as pool, AsyncExitStack() as stack:
        stage = Stage(broker, pool, working, database)
        await stage.open(stack)
        async with connected(stage, folder) as one:
            one.started.append(await asyncio.to_thread(forking.fork, "all", environment, folder / "workers.log"))
            await one.started[0].has_logged("ready")
            yield one

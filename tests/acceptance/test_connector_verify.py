"""`sluice connectors verify`: senders that keep their promises, and senders that break each of them."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from connectors.verifier import promises, trials
from examples.sender import sender
from examples.sender.provider import Provider, serving
from tests.acceptance.scenes import phone
from tests.acceptance.stage import Json, Workspace
from tests.acceptance.test_channels import channels_at_work
from tests.cli.commands import Sluice
from tests.support.databases import reader_of, sender_of, worker_of
from workers.app.settings import Settings, load_settings
from workers.cli import connector_verify
from workers.errors import ExitCode, NotFound, NotPossible, SettingsError, Unreachable

KEPT: Final = dict.fromkeys(
    [
        promises.CLAIMS,
        promises.REPORTS,
        promises.NAMES,
        promises.PROVIDER_ID,
        promises.ORDER,
        promises.REPEATED,
        promises.REFUSED,
        promises.EARLIER,
    ],
    "kept",
)
ADDRESS: Final = phone(990)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_QUIET_S", 0.7)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(port=0) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender that may break promises."""

    claims: bool = True
    reports: bool = True
    names_attempt: bool = True
    gives_ids: bool = True
    readable: bool = True
    settles: bool = True
    """Reports what somebody else has claimed as ambiguous."""
    backwards: bool = False
    """Takes what comes together in the wrong order."""

    async def work(self, workspace: Workspace, login: str) -> None:
        broker, numbers = workspace.stage.broker, itertools.count()
        consumer = AIOKafkaConsumer(
            f"{broker.topic_prefix}sends.dispatch",
            bootstrap_servers=broker.bootstrap,
            auto_offset_reset="latest",
        )
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
        async with asyncpg.create_pool(login, min_size=1, max_size=1) as pool, producer, consumer:
            while True:
                sends = await self.polled(consumer)
                ours = [send for send in sends if send["workspace_id"] == workspace.id]
                for send in reversed(ours) if self.backwards else ours:
                    status = await claimed(pool, send) if self.claims else "sent"
                    if status == "sent" or (status == "ambiguous" and self.settles):
                        key = f"{send['workspace_id']}:{send['send_id']}".encode()
                        value = json.dumps(self.receipt(send, status, next(numbers))).encode()
                        if self.reports:
                            topic = f"{broker.topic_prefix}messages.receipts"
                            await producer.send_and_wait(topic, value if self.readable else value[:-1], key)

    async def polled(self, consumer: Any) -> list[Json]:
        """What came; for one that takes it backwards, until nothing more comes for a while."""
        sends: list[Json] = []
        while found := await consumer.getmany(timeout_ms=1_200 if self.backwards else 100):
            sends += [json.loads(record.value) for records in found.values() for record in records]
            if not self.backwards:
                break
        return sends

    def receipt(self, send: Json, status: str, number: int) -> Json:
        names = ("workspace_id", "channel_id", "send_id", *(["attempt"] if self.names_attempt else []))
        has_id = self.gives_ids and status == "sent"
        told = {"provider_message_id": f"p-{send['send_id']}-{number}"} if has_id else {}
        return {name: send[name] for name in names} | {"status": status, "at": datetime.now(UTC).isoformat()} | told


async def claimed(pool: Any, send: Json) -> str:
    """What to report of an attempt; nothing if it may not be made."""
    claim = "SELECT granted, reason FROM sluice.claim_send($1, $2, $3)"
    granted, reason = await pool.fetchrow(claim, send["workspace_id"], UUID(send["send_id"]), send["attempt"])
    if granted:
        return "sent"
    return "ambiguous" if reason == "already_claimed" else ""


@asynccontextmanager
async def at_work(working: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(working)
    await asyncio.sleep(1)  # until it consumes
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settings_of(workspace: Workspace, database: str | None = None) -> Settings:
    stage = workspace.stage
    return load_settings(
        database_url=database or await worker_of(stage.database),
        kafka_bootstrap=stage.broker.bootstrap,
        topic_prefix=stage.broker.topic_prefix,
    )


async def uncounted(workspace: Workspace, channel: str = "whatsapp", channel_id: str = "whatsapp-main") -> None:
    await workspace.play(workspace.command("configure_channel", channel_id=channel_id, channel=channel, count=False))


async def verified(workspace: Workspace, timeout_s: float = 20.0, **other: Any) -> Json:
    wanted = connector_verify.Wanted(workspace.id, "whatsapp-main", ADDRESS, timeout_s)
    settings = await settings_of(workspace, other.pop("database", None))
    return await connector_verify.verified(settings, wanted._replace(**other))


def verdicts(document: Json) -> Json:
    return {one["promise"]: one["verdict"] for one in document["promises"]}


async def test_the_example_keeps_every_promise(workspace: Workspace, provider: Provider) -> None:
    await uncounted(workspace)
    stage = workspace.stage
    login = await sender_of(stage.database)
    example = sender.work(login, stage.broker.bootstrap, provider.url, stage.broker.topic_prefix)
    async with at_work(example):
        document = await verified(workspace)

    assert verdicts(document) == KEPT, document
    calls = [call for call in provider.calls if call.rpartition(":")[0] in set(map(str, await sends(workspace)))]
    assert sorted(calls) == sorted(set(calls))
    assert len(calls) == len(document["arrived"]) >= 5


async def test_sluice_s_own_sender_keeps_its_promises(workspace: Workspace, tmp_path: Path) -> None:
    async with channels_at_work(workspace.stage, workspace.id, tmp_path, "custom") as phones:
        await phones.say("custom", "ada-1", "Hello")
        [kind] = {row["channel"] for row in await until_known(workspace)}
        await uncounted(workspace, kind, "custom")
        document = await verified(workspace, timeout_s=5, channel_id="custom", address="ada-1")
        shown = [message["text"] for message in await phones.shown("custom") if not message["from_person"]]

    # It gives a claim of somebody else more time for its receipt than there is here.
    assert verdicts(document) == KEPT | {promises.EARLIER: "not seen"}, document
    assert shown == document["arrived"]


async def until_known(workspace: Workspace) -> list[Json]:
    async def known() -> bool:
        return bool(await workspace.rows("channels"))

    await workspace.stage.until(known, "the message did not come")
    return await workspace.rows("channels")


async def sends(workspace: Workspace) -> list[UUID]:
    return [row["send_id"] for row in await workspace.rows("sends")]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("careless", "expected"),
    [
        (
            Sender(claims=False),
            dict.fromkeys(
                (promises.CLAIMS, promises.REPORTS, promises.REPEATED, promises.REFUSED, promises.EARLIER), "broken"
            )
            | {promises.ORDER: "not seen"},
        ),
        (Sender(names_attempt=False), {promises.NAMES: "broken"}),
        (Sender(gives_ids=False), {promises.PROVIDER_ID: "broken"}),
        (Sender(backwards=True), {promises.ORDER: "broken"}),
        (
            Sender(readable=False),
            dict.fromkeys(KEPT, "not seen") | dict.fromkeys((promises.REPORTS, promises.NAMES), "broken"),
        ),
        (Sender(reports=False), dict.fromkeys(KEPT, "not seen") | {promises.REPORTS: "broken"}),
    ],
    ids=["no claims", "no attempt", "no ids", "backwards", "unreadable", "silent"],
)
async def test_a_broken_promise_is_named(careless: Sender, expected: Json, workspace: Workspace) -> None:
    await uncounted(workspace)
    login = await sender_of(workspace.stage.database)
    async with at_work(careless.work(workspace, login)):
        document = await verified(workspace, timeout_s=20 if careless.reports and careless.readable else 4)

    assert verdicts(document) == KEPT | expected, document


@pytest.mark.embedded
async def test_without_the_right_to_claim_that_trial_is_left_out(workspace: Workspace) -> None:
    await uncounted(workspace)
    async with at_work(Sender().work(workspace, await sender_of(workspace.stage.database))):
        document = await verified(workspace, database=await reader_of(workspace.stage.database))

    assert verdicts(document) == KEPT | {promises.EARLIER: "not seen"}
    assert "sluice_sender" in document["promises"][-1]["detail"]


@pytest.mark.embedded
async def test_what_was_claimed_here_is_settled_here(workspace: Workspace) -> None:
    await uncounted(workspace)
    async with at_work(Sender(settles=False).work(workspace, await sender_of(workspace.stage.database))):
        await verified(workspace, timeout_s=4)
    await workspace.stage.until(lambda: settled(workspace), "the attempt is open")


async def settled(workspace: Workspace) -> bool:
    rows = await workspace.rows("send_attempts")
    return {row["status"] for row in rows} == {"sent", "failed"} and sum(row["status"] == "failed" for row in rows) == 1


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        ({"channel_id": "nowhere"}, NotFound, "has no channel 'nowhere'.*sluice configure-channel"),
        ({"channel_id": "counted"}, SettingsError, "is counted.*--channel sms --no-count"),
        ({"address": "nobody"}, NotPossible, "refused, bad_address"),
        ({"address": "x" * 400}, SettingsError, "--address does not fit"),
        ({}, Unreachable, "nobody claimed or reported send"),
    ],
    ids=["no channel", "counted", "bad address", "no address", "no sender"],
)
async def test_where_trials_are_not_possible_none_is_made(
    other: Json, error: type[Exception], words: str, workspace: Workspace
) -> None:
    await uncounted(workspace)
    await workspace.play(workspace.message(channel="sms", channel_id="counted"))
    with pytest.raises(error, match=words):
        await verified(workspace, timeout_s=4, **other)


@pytest.mark.embedded
async def test_a_channel_that_is_a_test_channel_from_the_next_cycle_on_is_counted(workspace: Workspace) -> None:
    await workspace.play(
        workspace.command("configure_channel", channel_id="whatsapp-main", channel="whatsapp", count=True)
    )
    await uncounted(workspace)
    with pytest.raises(SettingsError, match="is counted"):
        await verified(workspace)


@pytest.mark.embedded
async def test_the_command_shows_a_table_and_ends_as_the_promises_do(workspace: Workspace, tmp_path: Path) -> None:
    stage = workspace.stage
    servers = {"KAFKA_BOOTSTRAP": stage.broker.bootstrap, "TOPIC_PREFIX": stage.broker.topic_prefix}
    sluice = Sluice(tmp_path, DATABASE_URL=await worker_of(stage.database), **servers)
    told = ("connectors", "verify", "--workspace", workspace.id, "--channel", "whatsapp-main", "--address", ADDRESS)

    unknown = await asyncio.to_thread(sluice.run, *told)
    assert (unknown.code, unknown.out) == (ExitCode.FAULT, "")
    await workspace.play(workspace.message())
    counted = await asyncio.to_thread(sluice.run, *told)
    assert (counted.code, counted.out) == (ExitCode.SETUP, "")
    wrong = await asyncio.to_thread(sluice.run, *told, "--timeout", "0")
    assert (wrong.code, "--timeout" in wrong.err) == (ExitCode.SETUP, True)

    await uncounted(workspace)
    login = await sender_of(stage.database)
    async with at_work(Sender(names_attempt=False).work(workspace, login)):
        broken = await asyncio.to_thread(sluice.run, *told, "--timeout", "20")
    assert broken.code == ExitCode.FAULT
    assert broken.out.count("broken") == 1
    assert "Sluice trial, message 1; " in broken.err
    async with at_work(Sender().work(workspace, login)):
        kept = await asyncio.to_thread(sluice.run, *told, "--timeout", "20", "--json")
    assert (kept.code, kept.err) == (ExitCode.CLEAN, "")
    assert verdicts(json.loads(kept.out)) == KEPT

"""`sluice sends request`: one send is asked for, and its first status is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from asyncpg import Pool

from schemas.decoding import decode_send
from schemas.sends import SendRequest
from schemas.topics import TOPICS
from tests.cli.commands import Ended, Sluice
from tests.support.brokers import Broker
from tests.workers.sending import PHONE, protect, wrote
from workers.errors import ExitCode

WHO: Final = ("--workspace", "acme", "--actor", "ann", "--role", "agent")
TO: Final = ("--channel", "whatsapp-main", "--address", PHONE)


@pytest.fixture
def sluice(database: str, broker: Broker, tmp_path: Path) -> Sluice:
    return Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap)


async def asked(sluice: Sluice, *arguments: str) -> Ended:
    return await asyncio.to_thread(sluice.run, "sends", "request", *WHO, *arguments)


def document(ended: Ended, code: ExitCode = ExitCode.CLEAN) -> Any:
    assert (ended.code, ended.err) == (code, "")
    return json.loads(ended.out)


@asynccontextmanager
async def at_work(sluice: Sluice, broker: Broker) -> AsyncIterator[None]:
    await broker.create(*TOPICS)
    with sluice.running("worker", "outbound") as running:
        await asyncio.to_thread(running.until_consuming)
        yield


async def test_the_first_status_is_told_whatever_it_is(sluice: Sluice, broker: Broker, pool: Pool) -> None:
    async with at_work(sluice, broker):
        unknown = await asked(sluice, *TO, "--text", "Hello")
        assert (unknown.code, unknown.out) == (ExitCode.SETUP, "")
        assert "has no record of a channel 'whatsapp-main' yet: give its --kind as well" in unknown.err

        send_id = str(uuid4())
        again = (*TO, "--kind", "whatsapp", "--text", "Hello", "--send-id", send_id, "--json")
        first = document(await asked(sluice, *again))
        assert (first["send_id"], first["status"], first["address"]) == (send_id, "dispatched", PHONE)
        assert (first["requested_by"], first["source"]) == ("ann", "api")
        assert document(await asked(sluice, *again))["attempts"] == first["attempts"]

        contact = await wrote(pool)
        page = (await asked(sluice, "--channel", "whatsapp-main", "--contact", str(contact), "--text", "Hi")).out
        assert "status     dispatched\n" in page
        assert "text       Hi\n" in page
        await protect(pool, contact)
        held = document(await asked(sluice, *TO, "--text", "Dear Ada", "--json"))
        assert (held["status"], held["attempts"]) == ("held", [])
        known = document(await asked(sluice, *TO, "--text", "Dear Bo", "--confirm", "--json"))
        assert (known["status"], [one["confirmed_by"] for one in known["confirmations"]]) == ("dispatched", ["ann"])
        refused = await asked(sluice, "--channel", "whatsapp-main", "--address", "nobody", "--text", "x", "--json")
        assert document(refused, ExitCode.FAULT)["reason"] == "bad_address"

    requests = [decode_send(record.value) for record in await broker.read("messages.outbound", 6)]
    assert all(isinstance(one, SendRequest) for one in requests)
    dispatches = [json.loads(record.value or b"") for record in await broker.read_all("sends.dispatch")]
    assert [one["content"]["text"] for one in dispatches] == ["Hello", "Hi", "Dear Bo"]


async def test_no_status_in_time_says_how_to_go_on(sluice: Sluice, broker: Broker) -> None:
    await broker.create(*TOPICS)
    told = ("--kind", "email", "--text", "x", "--subject", "s", "--group", "g")
    to = ("--channel", "mail", "--address", "Ada@byron.example")
    ended = await asked(sluice, *to, *told, "--timeout", "0.2", "--send-id", str(UUID(int=7)))

    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert f"no status of send {UUID(int=7)} within 0.2 s" in ended.err
    assert "the same --send-id" in ended.err
    [record] = await broker.read("messages.outbound", 1)
    request = decode_send(record.value)
    assert isinstance(request, SendRequest)
    assert record.key == b"acme:email:Ada@byron.example"
    assert (request.group_id, request.content.subject, request.source) == ("g", "s", "api")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--channel", "c", "--text", "x"), "either --contact or --address"),
        ((*TO, "--contact", str(UUID(int=7)), "--text", "x"), "either --contact or --address"),
        ((*TO, "--text", ""), "--text"),
        ((*TO, "--text", "x", "--timeout", "0"), "--timeout"),
        ((*TO, "--text", "x", "--kind", "fax"), "--kind"),
        ((*TO, "--text", "x", "--kind", "sms", "--group", ""), "--group"),
        ((*TO, "--text", "x" * 130_000 + "é" * 80_000, "--kind", "sms"), "at most 262144 bytes"),
        (("--channel", "", "--address", "a", "--text", "x", "--kind", "sms"), "--channel"),
        (("--channel", "c", "--address", "", "--text", "x", "--kind", "sms"), "--address"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], words: str, sluice: Sluice, broker: Broker) -> None:
    await broker.create("messages.outbound")
    ended = await asked(sluice, *arguments)

    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert await broker.read_all("messages.outbound") == []


async def test_a_server_that_is_away_is_one_sentence(database: str, tmp_path: Path) -> None:
    away = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP="127.0.0.1:1")
    ended = await asked(away, *TO, "--text", "x")

    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert ended.err == "sluice: Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP (127.0.0.1:1)\n"

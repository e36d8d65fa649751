"""The reference sender: each attempt is claimed once and reported, whatever crashes in between."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from examples.sender import sender
from examples.sender.provider import Provider, serving
from schemas.decoding import decode_receipt
from schemas.receipts import DeliveryReceipt
from tests.acceptance.scenes import become, claim, phone, standing
from tests.acceptance.stage import Json, Workspace
from tests.support.databases import sender_of

SOURCE: Final = Path(sender.__file__)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(port=0) as running:
        yield running


@asynccontextmanager
async def at_work(workspace: Workspace, provider: Provider) -> AsyncIterator[None]:
    """The sender; when the block ends it ends as in a crash: what it had begun is not committed."""
    stage = workspace.stage
    login = await sender_of(stage.database)
    working = asyncio.create_task(sender.work(login, stage.broker.bootstrap, provider.url))
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def keys(*sends: Json) -> list[str]:
    return [f"{send['send_id']}:1" for send in sends]


@pytest.mark.asyncio(loop_scope="session")
async def test_every_answer_becomes_a_receipt_and_a_crash_sends_nothing_twice(
    workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SESSION_MS", 3_000)
    sent, busy, nobody, broken, blocked, claimed = sends = [
        workspace.send(text, to={"address": phone(number)})
        for number, text in enumerate(("hello", "busy", "nobody", "broken", "to the blocked", "somebody's"))
    ]
    await workspace.play_together(*sends)
    await workspace.play(workspace.command("block_contact", identity={"channel": "whatsapp", "address": phone(4)}))
    assert await claim(workspace, claimed) == (True, None)  # by a process that ended before its receipt

    silent, after = workspace.send("silent", to={"address": phone(7)}), workspace.send(to={"address": phone(8)})
    async with at_work(workspace, provider):
        expected = (sent, "sent"), (busy, "failed"), (nobody, "failed"), (broken, "ambiguous"), (claimed, "ambiguous")
        for send, status in expected:
            await become(workspace, send, status)
        assert sorted(provider.calls) == sorted(keys(sent, busy, nobody, broken))
        assert (await standing(workspace, blocked))[0] in {"dispatched", "refused"}
        await workspace.play(silent)
        await workspace.stage.until(lambda: called(provider, silent), "the provider was not called")
    # It ended between claim and receipt.
    assert (await standing(workspace, silent))[0] == "dispatched"

    monkeypatch.setattr(sender, "PROVIDER_S", 0.2)
    slow = workspace.send("silent", to={"address": phone(9)})
    await workspace.play_together(after, slow)
    async with at_work(workspace, provider):
        for send, status in ((silent, "ambiguous"), (after, "sent"), (slow, "ambiguous")):
            await become(workspace, send, status)
    assert [provider.calls.count(key) for key in keys(silent, after, slow)] == [1, 1, 1]
    [row] = [row for row in await workspace.rows("sends", status="sent") if str(row["send_id"]) == sent["send_id"]]
    assert row["attempt"] == 1


async def called(provider: Provider, send: Json) -> bool:
    return keys(send)[0] in provider.calls


def test_nobody_there_is_a_failure_that_passes() -> None:
    send: Json = {"send_id": "s", "attempt": 1, "address": "+491", "content": {"type": "text", "text": "hello"}}

    outcome = sender.call("http://127.0.0.1:9/messages", send)

    assert (outcome["status"], outcome["error"]["code"]) == ("failed", "unreachable")
    assert outcome["error"]["permanent"] is False


@pytest.mark.parametrize(
    ("status", "retry_after", "body", "expected"),
    [
        (200, None, b'{"id": 7}', {"status": "sent", "provider_message_id": "7"}),
        (202, None, b"thanks", {"status": "sent"}),
        (429, "30", b"", {"status": "failed", "code": "429", "permanent": False, "retry_after_s": 30.0}),
        (503, None, b"", {"status": "failed", "code": "503", "permanent": False}),
        (429, "soon", b"", {"status": "failed", "code": "429", "permanent": False}),
        (400, None, b"", {"status": "failed", "code": "400", "permanent": True}),
        (301, None, b"", {"status": "failed", "code": "301", "permanent": True}),
        (500, None, b"", {"status": "ambiguous", "code": "500"}),
        (504, None, b"", {"status": "ambiguous", "code": "504"}),
    ],
)
def test_what_an_answer_means(status: int, retry_after: str | None, body: bytes, expected: dict[str, Any]) -> None:
    outcome = sender.judged(status, retry_after, body)
    error = outcome.pop("error", {})
    error.pop("message", None)

    assert outcome | error == expected


@pytest.mark.parametrize("status", [200, 400, 429, 500])
@pytest.mark.parametrize(
    "body",
    [b'{"id": ""}', b'{"id": null}', rb'{"id": "a\u0000"}', rb'{"id": "\ud800"}', b'{"id": "' + b"x" * 600 + b'"}',
     b"\0\xff", b"[" * 60_000, b"7" * 9_000, b'{"id": true}', b'{"id": {}}'],
    ids=repr,
)  # fmt: skip
def test_whatever_a_provider_answers_its_receipt_can_be_read(status: int, body: bytes) -> None:
    outcome = sender.judged(status, "9" * 400, body)
    assert "provider_message_id" not in outcome
    send = {"workspace_id": "w", "channel_id": "c", "send_id": str(UUID(int=1)), "attempt": 1}
    assert isinstance(decode_receipt(sender.receipt(send, outcome)[0]), DeliveryReceipt)


def test_retry_after_may_be_a_date() -> None:
    seconds = sender.seconds(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))

    assert seconds is not None
    assert 55 < seconds <= 60


def test_it_has_fewer_than_150_lines() -> None:
    assert SOURCE.read_text(encoding="utf-8").count("\n") < 150

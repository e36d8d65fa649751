"""`sluice holds`: the list, one hold with all that decides about it, and what is not there."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, runner
from tests.workers.records import WORKSPACE, uuid_of
from tests.workers.sending import PHONE, join_company, protect, request, send, wrote
from workers.errors import ExitCode

IN = ("--workspace", WORKSPACE)


@pytest.fixture
async def ada(pool: Pool) -> UUID:
    """A protected contact with three holds, two of them of a group, and a send that went out before."""
    contact_id = await wrote(pool, name="Ada")
    await send(pool, request("gone"))
    await protect(pool, contact_id)
    await join_company(pool, contact_id, "bolt")
    now = datetime.now(UTC)
    asked: dict[str, Any] = {
        "requested_at": now - timedelta(hours=3),
        "content": {"type": "text", "text": "Dear Ada,\nhello"},
    }
    wanted = [request(name, group_id=group, **asked) for name, group in (("s1", None), ("g1", "g"), ("g2", "g"))]
    await send(pool, *wanted, now=now)
    return contact_id


@pytest.fixture
def sluice(
    ada: UUID,  # noqa: ARG001 - there is something to show
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def told(sluice: Callable[..., Ended], *arguments: str) -> Any:
    ended = sluice(*arguments, *IN, "--json")
    return document_of(ended)


def test_a_list_shows_what_waits_with_or_without_its_name(sluice: Callable[..., Ended], ada: UUID) -> None:
    rows = told(sluice, "holds", "list")
    assert rows == json.loads(sluice("holds", *IN, "--json").out) == json.loads(sluice("holds", "--json").out)
    assert {row["send_id"] for row in rows} == {str(uuid_of(name)) for name in ("s1", "g1", "g2")}
    assert {row["contact_id"] for row in rows} == {str(ada)}
    assert "content" not in rows[0]
    assert {row["group_id"] for row in told(sluice, "holds", "list", "--group", "g")} == {"g"}
    alone = sluice("holds", "list", "--group", "g")
    assert (alone.code, alone.err) == (ExitCode.SETUP, "sluice: --group needs --workspace: a group belongs to one\n")


def test_a_hold_tells_all_that_decides_about_it(sluice: Callable[..., Ended], ada: UUID) -> None:
    page = sluice("holds", "show", str(uuid_of("g1")), *IN).out
    lines = page.splitlines()
    assert lines[:8] == [
        f"hold        {uuid_of('g1')}",
        f"to          Ada, {PHONE} on whatsapp (whatsapp-main)",
        f"contact     {ada}",
        f"profile     {ada}",
        "text        Dear Ada,",
        "            hello",
        "waits       company bolt is protected",
        "            status VIP is protected",
    ]
    assert lines[8].startswith("requested   by ann (agent), 2026-03-10 00:10:00Z, ")
    assert "group       g: 2 of it wait\n" in page
    assert f"confirming  It releases the send: the message goes to {PHONE} on" in page
    assert max(map(len, lines)) <= 80

    document = told(sluice, "holds", "show", str(uuid_of("g1")))
    assert (document["address"], document["display_name"], document["requested_role"]) == (PHONE, "Ada", "agent")
    assert document["reasons_in_words"] == ["company bolt is protected", "status VIP is protected"]
    assert (document["content"]["text"], document["group_holds"]) == ("Dear Ada,\nhello", 2)
    assert (document["releasable"], document["refusals"], document["new_grounds"]) == (False, [], [])


@pytest.mark.parametrize(
    ("send", "workspace", "error"),
    [
        ("gone", WORKSPACE, f"send {uuid_of('gone')} does not wait for a person: it is dispatched"),
        ("x", WORKSPACE, f"workspace 'acme' has no send {uuid_of('x')}"),
        ("s1", "nobody", "there is no workspace 'nobody'"),
    ],
)
def test_what_does_not_wait_is_exit_code_1_and_a_sentence(
    sluice: Callable[..., Ended], send: str, workspace: str, error: str
) -> None:
    ended = sluice("holds", "show", str(uuid_of(send)), "--workspace", workspace)
    assert (ended.code, ended.out, ended.err) == (ExitCode.FAULT, "", f"sluice: {error}\n")

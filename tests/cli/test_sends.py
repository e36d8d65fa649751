"""`sluice sends`: lists by status, contact and group, one send with its history, the progress of a group."""

import json
from collections.abc import Callable
from typing import Any, Final, get_args
from uuid import UUID

import pytest
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from schemas.outputs import SendState
from tests.cli.commands import Ended
from tests.cli.inside import document_of, pages, runner
from tests.workers.records import WORKSPACE, at, uuid_of
from tests.workers.sending import PHONE, answer, claim, confirm, protect, receipt, request, rows, send, wrote
from workers.cli import send_words
from workers.errors import ExitCode
from workers.store import send_reports

IN: Final = ("--workspace", WORKSPACE)
OTHER: Final = "+4915100000001"
STATES: Final = get_args(SendState)


@pytest.fixture
async def ada(pool: Pool) -> UUID:
    """A protected contact with sends of all kinds, among them a group."""
    contact_id, other = await wrote(pool, name="Ada"), await wrote(pool, OTHER)
    await send(pool, request("unsure"), request("g1", to=OTHER, group_id="g"), request("late", to=OTHER), now=at(10))
    await claim(pool, "unsure")
    busy = {"code": "busy", "message": "try later"}
    await send(pool, receipt("ambiguous", "unsure"), now=at(20))
    await send(pool, receipt("failed", "late", error=busy), receipt("read", "g1"), now=at(21))
    await protect(pool, contact_id)
    await send(pool, request("held", group_id="g"), request("answered", group_id="g"), now=at(22))
    await answer(pool, confirm("answered"))
    await rows(pool, "UPDATE identities SET opted_out = true WHERE contact_id = $1 RETURNING 1", other)
    await send(pool, request("never", to=OTHER, group_id="g"), now=at(23))
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
    ended = sluice("sends", *arguments, "--json")
    return document_of(ended)


def names(listed: list[dict[str, Any]]) -> list[str]:
    known = {str(uuid_of(name)): name for name in ("unsure", "late", "g1", "held", "answered", "never")}
    return [known[row["send_id"]] for row in listed]


def test_lists_are_by_what_changed_last_and_by_what_is_asked_for(
    sluice: Callable[..., Ended], ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = told(sluice, "list", *IN)
    assert names(everything)[-1] == "unsure"
    assert [row["updated_at"] for row in everything] == sorted((r["updated_at"] for r in everything), reverse=True)
    assert told(sluice, "list") == everything
    assert names(told(sluice, "list", "--status", "ambiguous")) == ["unsure"]
    assert names(told(sluice, "list", *IN, "--status", "failed")) == ["late"]
    assert set(names(told(sluice, "list", *IN, "--contact", str(ada)))) == {"unsure", "held", "answered"}
    assert names(told(sluice, "list", *IN, "--contact", str(ada), "--group", "g", "--status", "held")) == ["held"]
    assert set(names(told(sluice, "list", *IN, "--group", "g"))) == {"g1", "held", "answered", "never"}
    assert names(told(sluice, "list", *IN, "--group", "g", "--status", "refused")) == ["never"]
    monkeypatch.setattr(send_reports, "MOST_OF_A_PAGE", 2)
    assert told(sluice, "list", *IN) == everything
    limited = sluice("sends", "list", *IN, "--limit", "3", "--json")
    assert json.loads(limited.out) == everything[:3]
    for chosen in (("--status", "held"), ("--contact", str(ada)), ("--group", "g"), ()):
        assert pages(sluice, "sends", "list", *IN, *chosen, limit=1) == told(sluice, "list", *IN, *chosen)


def test_a_group_shows_how_far_it_is(sluice: Callable[..., Ended]) -> None:
    document = told(sluice, "group", "g", *IN)
    assert document == {
        "workspace_id": WORKSPACE,
        "group_id": "g",
        "statuses": {"dispatched": 1, "held": 1, "read": 1, "refused": 1},
        "sends": 4,
        "finished": 2,
    }
    assert sluice("sends", "group", "g", *IN).out.splitlines() == [
        "group      g",
        "progress   [###############...............] 2 of 4 (50 %)",
        "went out   1 read",
        "never      1 refused",
        "waits      1 held",
        "under way  1 dispatched",
    ]


def test_a_send_tells_its_history_and_what_can_be_done(sluice: Callable[..., Ended]) -> None:
    unsure = told(sluice, "show", str(uuid_of("unsure")), *IN)
    [first] = unsure["attempts"]
    assert (first["attempt"], first["status"], first["claimed_at"] is not None) == (1, "ambiguous", True)
    assert (unsure["status"], unsure["address"], unsure["confirmations"]) == ("ambiguous", PHONE, [])
    page = sluice("sends", "show", str(uuid_of("unsure")), *IN).out
    assert f"to         Ada, {PHONE} on whatsapp (whatsapp-main)\n" in page
    assert f"sluice settle-send --send-id {uuid_of('unsure')}" in page
    assert max(map(len, page.splitlines())) <= 80

    late = sluice("sends", "show", str(uuid_of("late")), *IN).out
    assert "status     failed: busy\n" in late
    assert "attempts   1: failed 2026-03-10 00:20:00Z, busy: try later\n" in late
    assert "Attempt 2 is due: " in late

    answered = told(sluice, "show", str(uuid_of("answered")), *IN)
    [given] = answered["confirmations"]
    assert (given["confirmed_by"], given["role"], given["outcome"]) == ("bob", "agent", "released")
    page = sluice("sends", "show", str(uuid_of("answered")), *IN).out
    assert "confirmed  by bob (agent) 2026-03-10 00:30:00Z for status_protected: released\n" in page
    assert "next       A sender has to claim it.\n" in page


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("show", str(uuid_of("x")), *IN), ExitCode.FAULT, f"workspace 'acme' has no send {uuid_of('x')}"),
        (("group", "x", *IN), ExitCode.FAULT, "workspace 'acme' has no group 'x' of sends"),
        (("list", "--workspace", "nobody"), ExitCode.FAULT, "there is no workspace 'nobody'"),
        (
            ("list", "--group", "g"), ExitCode.SETUP,
            "--contact, --group and --before need --workspace: each belongs to one",
        ),
        (("list", "--status", "gone"), ExitCode.SETUP, f"--status: expected any of {', '.join(STATES)}, got 'gone'"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_wrong_is_a_sentence(
    sluice: Callable[..., Ended], arguments: tuple[str, ...], code: ExitCode, error: str
) -> None:
    ended = sluice("sends", *arguments)
    assert (ended.code, ended.out, ended.err) == (code, "", f"sluice: {error}\n")


def test_every_status_has_a_standing_and_a_next_step() -> None:
    standings = [status for states in send_words.STANDINGS.values() for status in states]
    assert sorted(standings) == sorted(STATES)
    for status in STATES:
        one = {"status": status, "send_id": "s", "workspace_id": "w", "attempt": 1, "next_attempt_at": None}
        assert send_words.next_steps(one, [])


@given(st.dictionaries(st.sampled_from(STATES), st.integers(1, 10**6), min_size=1))
def test_a_bar_is_full_only_when_nothing_is_left(counts: dict[str, int]) -> None:
    total, finished = send_words.progress(counts)
    assert ("." in send_words.bar(finished, total).split("]")[0]) == (finished < total)
    shown = [send_words.counted(counts, states) for states in send_words.STANDINGS.values()]
    assert sum(int(text.split(" ")[0].rstrip(":").replace(",", "")) for text in shown if text is not None) == total

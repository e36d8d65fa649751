"""`sluice runs`: lists by contact and state, and one run with why it ended, in words."""

import json
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, pages, runner
from tests.workers.asking import ask, by_phone, contact_of, give
from tests.workers.records import WORKSPACE, uuid_of
from tests.workers.runs import ADA, apply, finish, meet, start, step
from tests.workers.sending import protect, request, send
from workers.cli import run_words
from workers.errors import ExitCode
from workers.store import run_reports

IN: Final = ("--workspace", WORKSPACE)
BOB, CARL, DORA = (f"+491510000000{n}" for n in range(1, 4))


@pytest.fixture
async def bob(pool: Pool) -> UUID:
    """Ada, who is blocked; Bob, a protected contact whose run waits; Carl, who is deleted; Dora, who was merged."""
    for number, address in enumerate((ADA, BOB, CARL, DORA)):
        await meet(pool, address, provider_message_id=f"m{number}", name="Ada" if address == ADA else None)
    bob, carl, dora = [await contact_of(pool, address) for address in (BOB, CARL, DORA)]
    await apply(
        pool,
        start("alive", 1),
        start("below", 2, parent_run_id="alive", identity=by_phone(BOB)),
        start("done", 3),
        finish("done", 4),
        start("carl", 5, identity=by_phone(CARL)),
        start("dora", 6, identity=by_phone(DORA)),
        start("waits", 7, identity=by_phone(BOB)),
        start("nobody", 8, identity=by_phone("+4915100000009")),
    )
    await protect(pool, bob)
    await send(pool, request("s1", to=BOB, run_id="waits", step_id="ask"))
    await give(
        pool,
        ask("block_contact", identity=by_phone(ADA), minutes=10),
        ask("delete_contacts", contact_ids=[carl], expected_count=1, minutes=11),
        ask("merge_contacts", survivor_id=bob, loser_id=dora, minutes=12),
    )
    await apply(
        pool, start("late", 13), start("short", 14, trigger="shortcut"), step("short", 15, "send_message", "hello")
    )
    return bob


@pytest.fixture
def sluice(
    bob: UUID,  # noqa: ARG001 - there is something to show
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def told(sluice: Callable[..., Ended], *arguments: str) -> Any:
    ended = sluice("runs", *arguments, *IN, "--json")
    return document_of(ended)


def test_lists_are_by_start_and_by_what_is_asked_for(
    sluice: Callable[..., Ended], bob: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ids(*arguments: str) -> list[str]:
        return [row["run_id"] for row in told(sluice, "list", *arguments)]

    newest_first = ["short", "late", "nobody", "waits", "dora", "carl", "done", "below", "alive"]
    assert ids() == newest_first
    assert ids("--state", "halted") == ["short", "dora", "carl", "below", "alive"]
    assert ids("--state", "running") == ["waits"]
    for chosen in ((), ("--state", "halted")):
        assert pages(sluice, "runs", "list", *IN, *chosen, limit=2) == told(sluice, "list", *chosen)
    assert ids("--contact", str(bob)) == ["waits", "dora", "below"]
    assert ids("--contact", str(bob), "--state", "running") == ["waits"]
    monkeypatch.setattr(run_reports, "MOST_OF_A_PAGE", 2)
    assert ids() == newest_first
    assert ids("--state", "refused") == ["late", "nobody"]
    assert json.loads(sluice("runs", "list", *IN, "--limit", "3", "--json").out) == told(sluice, "list")[:3]
    monkeypatch.setattr(run_reports, "MOST_LOOKED_AT", 4)
    cut = sluice("runs", "list", *IN, "--state", "halted")
    assert "short" in cut.out
    assert cut.err == "Older runs were not looked at; --contact finds those of one contact.\n"


def test_a_run_tells_why_it_ended(sluice: Callable[..., Ended], bob: UUID) -> None:
    blocked = "2026-03-10 00:10:00Z"
    why = {
        "alive": f"the contact was blocked {blocked} by olga",
        "below": "the run above it, alive, was halted: contact_blocked",
        "carl": "the contact was deleted: 2026-03-10 00:11:00Z",
        "dora": "the contact was merged into another one: 2026-03-10 00:12:00Z",
        "late": f"the contact was blocked when it started: since {blocked}, by olga",
        "short": f"step hello would have reached the contact, which was blocked: since {blocked}, by olga",
        "nobody": "the contact was not known when it started",
        "waits": None,
        "done": None,
    }
    runs = {run_id: told(sluice, "show", run_id) for run_id in why}
    assert {run_id: run["reason_in_words"] for run_id, run in runs.items()} == why
    assert [child["run_id"] for child in runs["alive"]["children"]] == ["below"]
    assert runs["below"]["parent"] == {
        "run_id": "alive", "workflow_id": "welcome", "state": "halted", "reason": "contact_blocked",
    }  # fmt: skip
    assert runs["dora"]["contact_id"] == str(bob)
    assert (runs["done"]["outcome"], runs["done"]["state"]) == ("done", "finished")
    [waiting] = runs["waits"]["held_steps"]
    assert (waiting["step_id"], waiting["send_id"], waiting["reasons"]) == (
        "ask",
        str(uuid_of("s1")),
        ["status_protected"],
    )

    page = sluice("runs", "show", "alive", *IN).out
    for line in ("workflow  welcome\n", "state     halted\n", f"because   {why['alive']}\n"):
        assert line in page
    assert "below     below (welcome): halted, contact_blocked\n" in page
    assert f"waits     step ask: send {uuid_of('s1')} for\n" in sluice("runs", "show", "waits", *IN).out


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("show", "x", *IN), ExitCode.FAULT, "workspace 'acme' has no run 'x'"),
        (("list", "--workspace", "nobody"), ExitCode.FAULT, "there is no workspace 'nobody'"),
        (
            ("list", *IN, "--state", "gone"),
            ExitCode.SETUP,
            "--state: expected any of running, halted, refused, finished, got 'gone'",
        ),
    ],
)
def test_what_is_not_there_or_wrong_is_a_sentence(
    sluice: Callable[..., Ended], arguments: tuple[str, ...], code: ExitCode, error: str
) -> None:
    ended = sluice("runs", *arguments)
    assert (ended.code, ended.out, ended.err) == (code, "", f"sluice: {error}\n")


def test_what_is_not_known_any_more_is_left_out() -> None:
    run = dict.fromkeys(("blocked_at", "blocked_by", "unblocked_at", "ended_at", "step_id", "cut_at"))
    assert run_words.why(run | {"reason": "contact_blocked"}, None) == "the contact was blocked"
    assert run_words.why(run | {"reason": "blocked_contact_step", "step_id": "s"}, None) == (
        "step s would have reached the contact, which was blocked"
    )
    assert run_words.why(run | {"reason": "contact_deleted"}, None) == "the contact was deleted"
    assert run_words.why(run | {"reason": "another"}, None) == "another"

"""Conversations, moments of profiles and dropped messages: newest first, page by page, legible on a terminal."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import pages, runner
from tests.cli.test_customer_lists import IN, whole
from tests.support.hostile import EVERYTHING, inert
from tests.workers.asking import ask, by_phone, contact_of, give
from tests.workers.ingesting import ingest
from tests.workers.records import message
from workers.errors import ExitCode

ADA, BOB, CARL = (f"+49151000000{n:02}" for n in range(1, 4))
LONG: Final = "word " * 200


@pytest.fixture
async def people(pool: Pool) -> dict[str, UUID]:
    """Ada with messages at one moment, a comment, and what a block dropped; Bob and Carl wrote at that moment too."""
    await ingest(
        pool,
        *(message(ADA, minutes=1, provider_message_id=f"a{n}", text=text) for n, text in enumerate(("one", LONG))),
        message(ADA, minutes=2, provider_message_id="a2", text=EVERYTHING),
        *(message(one, minutes=1, provider_message_id=one, text="hi") for one in (BOB, CARL)),
    )
    ids = {address: await contact_of(pool, address) for address in (ADA, BOB, CARL)}
    await give(
        pool,
        ask("comment", contact_id=ids[ADA], text="Call her", minutes=3),
        ask("create_profile", profile_id="p-1", name="Lovelace"),
        *(ask("attach_contact", contact_id=ids[one], profile_id="p-1") for one in (ADA, BOB)),
        *(ask("block_contact", identity=by_phone(one), minutes=4) for one in (ADA, CARL)),
    )
    dropped = (("d1", ADA, 5), ("d2", ADA, 5), ("d3", CARL, 5), ("d4", ADA, 6))
    await ingest(pool, *(message(one, minutes=at, provider_message_id=name) for name, one, at in dropped))
    return ids


@pytest.fixture
def sluice(
    people: dict[str, UUID],  # noqa: ARG001 - there is something to show
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, columns=120, DATABASE_URL=database)


def test_pages_have_each_message_once_also_those_of_one_moment(
    sluice: Callable[..., Ended], people: dict[str, UUID]
) -> None:
    ada = str(people[ADA])
    lists = {("contacts", "messages", ada): 4, ("profiles", "moments", "p-1"): 5, ("drops",): 4}
    for arguments, count in {**lists, ("drops", "--contact", ada): 3}.items():
        listed = whole(sluice, *arguments)
        assert len({row["message_id"] for row in listed}) == len(listed) == count, arguments
        assert [row["event_time"] for row in listed] == sorted((row["event_time"] for row in listed), reverse=True)
        for limit in (1, 2):
            assert pages(sluice, *arguments, *IN, limit=limit) == listed, arguments


def test_a_time_alone_leaves_out_what_is_of_that_time(sluice: Callable[..., Ended], people: dict[str, UUID]) -> None:
    ada = str(people[ADA])
    listed = whole(sluice, "contacts", "messages", ada)
    assert whole(sluice, "contacts", "messages", ada, "--before", "2026-03-10 00:02:00") == listed[2:]
    assert whole(sluice, "drops", "--before", "2026-03-10T00:05:00Z") == []


def test_a_conversation_is_whole_as_json_and_legible_on_a_terminal(
    sluice: Callable[..., Ended], people: dict[str, UUID]
) -> None:
    arguments = ("contacts", "messages", str(people[ADA]), *IN)
    comment, hostile, *_ = listed = whole(sluice, *arguments[:3])
    assert (comment["kind"], comment["content"]["text"]) == ("comment", "Call her")
    assert hostile["content"]["text"] == EVERYTHING
    assert LONG in [row["content"]["text"] for row in listed]

    shown = sluice(*arguments)
    assert (shown.code, shown.err) == (ExitCode.CLEAN, "")
    assert inert(shown.out)
    assert "Call her" in shown.out
    assert "…" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 120
    assert LONG.strip() not in sluice(*arguments, "--wide").out


def test_the_moments_of_a_profile_are_those_of_its_contacts(
    sluice: Callable[..., Ended], people: dict[str, UUID]
) -> None:
    moments = whole(sluice, "profiles", "moments", "p-1")
    assert {row["contact_id"] for row in moments} == {str(people[ADA]), str(people[BOB])}


def test_a_drop_says_why_and_whether_it_counts(sluice: Callable[..., Ended], people: dict[str, UUID]) -> None:
    drops = whole(sluice, "drops", "--contact", str(people[CARL]))
    assert [(row["reason"], row["rule"], row["counted"]) for row in drops] == [("contact_blocked", "next_cycle", True)]
    assert "contact_blocked" in sluice("drops", *IN).out

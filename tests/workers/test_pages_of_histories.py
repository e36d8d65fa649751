"""What is read by page, and the rows and counts that lists are read from, are what the views and the messages come to:
over random histories of messages that come late, blocks, merges, revisions, sends and deletions.
"""

import random
from collections.abc import Callable
from typing import Any, Final

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, rows
from tests.workers.ingesting import ingest
from tests.workers.records import message
from tests.workers.refreshing import refresh
from tests.workers.sending import receipt, request, send
from tests.workers.stepping import at_most, steps
from tests.workers.test_recount_steps import NOW

MONTH: Final = 45_000
ADDRESSES: Final = tuple(f"+4915112345{n:03}" for n in range(6))
PROFILES: Final = ("p-1", "p-2")
NEWEST: Final = """
    SELECT o.contact_id, o.conversation_status, o.assignee, newest.event_time, newest.direction
    FROM sluice.contact_overview o
    LEFT JOIN LATERAL (
        SELECT m.event_time, CASE WHEN m.kind IN ('echo', 'send', 'broadcast') THEN 'out' ELSE 'in' END AS direction
        FROM identities i JOIN messages m ON m.identity_id = i.identity_id
        WHERE i.contact_id = o.contact_id AND m.drop_reason IS NULL ORDER BY m.event_time DESC LIMIT 1
    ) AS newest ON true
    ORDER BY o.contact_id
"""
INBOX: Final = """
    SELECT contact_id, status, assignee, last_message_at, last_direction FROM sluice.inbox ORDER BY contact_id
"""
BY_ASSIGNEE: Final = """
    SELECT status, assignee, count(*) FROM sluice.inbox GROUP BY status, assignee ORDER BY status, assignee
"""
COUNTS: Final = "SELECT status, assignee, contacts FROM sluice.inbox_counts ORDER BY status, assignee"
DAYS: Final = "SELECT cycle_start, day, active_contacts FROM sluice.mac_days ORDER BY 1, 2"
BY_DAY: Final = """
    SELECT cycle_start, (first_counted_at AT TIME ZONE 'Asia/Kolkata')::date AS day, count(*)
    FROM sluice.mac_contacts GROUP BY 1, 2 ORDER BY 1, 2
"""
VIEWS: Final = {
    "conversation_page": "conversation_messages WHERE contact_id = $1 AND workspace_id = 'acme'",
    "profile_page": "profile_moments WHERE profile_id = $1 AND workspace_id = 'acme'",
    "drops_page": "drop_ledger WHERE workspace_id = 'acme'",
    "sends_page": "sends WHERE status = $1 AND workspace_id = 'acme'",
    "counted_page": "mac_contacts WHERE cycle_start = $1 AND workspace_id = 'acme'",
}
ORDER: Final = {"sends_page": ("updated_at", "send_id"), "counted_page": ("first_counted_at", "contact_id")}


class History:
    """One random history of a workspace."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
        self.number = 0
        self.merged: list[Any] = []

    async def go_on(self) -> None:
        """One more step."""
        kinds: list[Callable[[], Any]] = [self.messages] * 4 + [self.sends] * 2 + [self.command] * 6 + [self.merge] * 2
        self.number += 1
        await self.dice.choice([*kinds, self.undo, self.delete])()
        await steps(self.pool, self.dice.randrange(2))
        await refresh(self.pool, self.dice)

    def minutes(self) -> float:
        """Each moment once: of messages at one time any may be the newest."""
        return self.dice.randrange(MONTH) + self.number / 1_000

    def who(self) -> dict[str, Any]:
        return {"identity": {"channel": "whatsapp", "address": self.dice.choice(ADDRESSES)}}

    async def messages(self) -> None:
        kinds = [self.dice.choice(["message", "message", "reaction", "echo"]) for _ in range(8)]
        await ingest(
            self.pool,
            *(
                message(
                    self.dice.choice(ADDRESSES),
                    minutes=self.minutes() + n / 10_000,
                    kind=kind,
                    channel=self.dice.choice(["whatsapp", "whatsapp", "sms"]),
                    provider_message_id=f"{self.number}-{n}",
                )
                for n, kind in enumerate(kinds)
            ),
            now=NOW,
        )

    async def sends(self) -> None:
        name, asked = f"s{self.number}", self.minutes()
        await send(self.pool, request(name, to=self.dice.choice(ADDRESSES), minutes=asked), now=NOW)
        for status in self.dice.sample(["sent", "delivered", "failed"], self.dice.randrange(3)):
            told = receipt(status, name, minutes=asked + 10 + self.dice.random() * 100)
            await send(self.pool, told, now=NOW)

    async def command(self) -> None:
        choices: list[tuple[str, dict[str, Any]]] = [
            ("block_contact", {}),
            ("block_contact", {}),
            ("unblock_contact", {}),
            ("unblock_contact", {}),
            ("close_conversation", {}),
            ("assign_conversation", {"assignee": self.dice.choice(["ann", "ben", None])}),
            ("comment", {"text": "called"}),
            ("attach_contact", {"profile_id": self.dice.choice(PROFILES)}),
            ("release_dropped", {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}),
            ("remove_channel", {}),
        ]
        name, fields = self.dice.choice(choices)
        await give(self.pool, ask(name, minutes=self.minutes(), **self.who(), **fields), now=NOW)

    async def merge(self) -> None:
        people = await self.people()
        if len(people) > 1:
            survivor, loser = self.dice.sample(people, 2)
            self.merged.append(ask("merge_contacts", survivor_id=survivor, loser_id=loser))
            await give(self.pool, self.merged[-1], now=NOW)

    async def undo(self) -> None:
        if self.merged:
            undone = ask("undo_merge", minutes=1, merge_id=str(self.merged.pop().value.command_id))
            await give(self.pool, undone, now=NOW)

    async def delete(self) -> None:
        people = await self.people()
        if len(people) > 3:
            gone = ask("delete_contacts", minutes=self.minutes(), contact_ids=people[:1], expected_count=1)
            await give(self.pool, gone, now=NOW)

    async def people(self) -> list[str]:
        return [row[0] for row in await rows(self.pool, "SELECT contact_id::text FROM sluice.contact_list ORDER BY 1")]


async def same_pages(pool: Pool, function: str, size: int, *key: object) -> None:
    at, id_ = ORDER.get(function, ("event_time", "message_id"))
    shown = f"SELECT * FROM sluice.{VIEWS[function]} ORDER BY {at} DESC, {id_} DESC"  # noqa: S608
    found: list[Any] = []
    async with pool.acquire() as tx, tx.transaction():
        expected = await tx.fetch(shown, *key)
        before: tuple[Any, ...] = (None, None)
        asked = ", ".join(f"${n + 1}" for n in range(len(key) + 3))
        query = f"SELECT * FROM sluice.{function}('acme', {asked})"  # noqa: S608
        while page := await tx.fetch(query, *key, *before, size):
            found += page
            before = (page[-1][at], page[-1][id_])
    assert found == expected


@pytest.mark.parametrize("seed", range(3))
async def test_pages_rows_and_counts_follow_any_history(pool: Pool, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 20)
    history = History(pool, seed)
    zone = ask("configure_workspace", minutes=-MONTH, set={"time_zone": "Asia/Kolkata"})
    await give(pool, zone, *(ask("create_profile", profile_id=p, name=p) for p in PROFILES), now=NOW)
    for round_ in range(5):
        for _ in range(7):
            await history.go_on()
        for [contact_id] in await rows(pool, "SELECT contact_id FROM sluice.contact_overview"):
            await same_pages(pool, "conversation_page", 3 + round_, contact_id)
        for profile in PROFILES:
            await same_pages(pool, "profile_page", 5, profile)
        for status in ("dispatched", "sent", "delivered", "failed", "refused"):
            await same_pages(pool, "sends_page", 2, status)
        await same_pages(pool, "drops_page", 4)
        for [cycle] in await rows(pool, "SELECT cycle_start FROM sluice.mac_counts"):
            await same_pages(pool, "counted_page", 2, cycle)
        assert await rows(pool, DAYS) == await rows(pool, BY_DAY)

    await steps(pool, 1_000)
    await refresh(pool)
    assert await rows(pool, INBOX) == await rows(pool, NEWEST)
    assert await rows(pool, COUNTS) == await rows(pool, BY_ASSIGNEE)
    assert await rows(pool, DAYS) == await rows(pool, BY_DAY)
    assert await rows(pool, "SELECT FROM mac_quarters WHERE NOT summed") == []

"""The rules for monthly active contacts, one by one. Every cycle here is long past and kept open by the settings."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.ids import message_id
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace, at, identity, now

INSTANT = timedelta(microseconds=1)
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
MARCH, APRIL, MAY = (datetime(2025, month, 1, tzinfo=UTC) for month in (3, 4, 5))


def configured(workspace: Workspace, at: datetime = LONG_AGO, **settings: Any) -> Json:
    """Settings from the beginning on, unless a moment says otherwise."""
    return workspace.command("configure_workspace", at=at, set={"close_grace_hours": 80_000} | settings)


async def active(workspace: Workspace) -> dict[datetime, int]:
    """Contacts by the begin of the cycles in which there are some."""
    rows = await workspace.rows("mac_counts")
    return {row["cycle_start"]: row["active_contacts"] for row in rows if row["active_contacts"]}


async def cycles(workspace: Workspace) -> list[datetime]:
    """Where cycles begin and the last one ends; they follow each other without a gap."""
    rows = sorted(await workspace.rows("mac_counts"), key=lambda row: row["cycle_start"])
    assert [row["cycle_end"] for row in rows[:-1]] == [row["cycle_start"] for row in rows[1:]]
    return [*(row["cycle_start"] for row in rows), rows[-1]["cycle_end"]]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_rule_5_1_an_anchor_day_is_clamped_to_the_end_of_each_month(workspace: Workspace) -> None:
    await workspace.play(configured(workspace, anchor_day=31), workspace.message(at=utc("2025-01-15")))
    found = await cycles(workspace)
    assert found[:5] == [
        utc(f"{day}") for day in ("2024-12-31", "2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30")
    ]
    assert found[-2] <= now() < found[-1]


@pytest.mark.parametrize(
    ("time_zone", "anchor_day", "first", "boundaries"),
    [
        ("Europe/Berlin", 1, "2025-03-10", ("2025-02-28T23:00", "2025-03-31T22:00", "2025-04-30T22:00")),
        ("America/Los_Angeles", 15, "2025-03-01", ("2025-02-15T08:00", "2025-03-15T07:00")),
        # there is no midnight: at 00:00 clocks went to 01:00
        ("America/Asuncion", 6, "2024-10-05", ("2024-09-06T04:00", "2024-10-06T04:00", "2024-11-06T03:00")),
        # there are two: at 01:00 clocks went back to 00:00
        ("America/Havana", 2, "2025-10-10", ("2025-10-02T04:00", "2025-11-02T04:00", "2025-12-02T05:00")),
    ],
)
async def test_rule_5_1_a_cycle_starts_at_midnight_where_the_workspace_is(
    workspace: Workspace, time_zone: str, anchor_day: int, first: str, boundaries: tuple[str, ...]
) -> None:
    settings = configured(workspace, time_zone=time_zone, anchor_day=anchor_day)
    await workspace.play(settings, workspace.message(at=utc(first)))
    assert (await cycles(workspace))[: len(boundaries)] == [utc(text) for text in boundaries]


async def test_rule_5_1_a_message_at_the_boundary_belongs_to_the_cycle_it_opens(workspace: Workspace) -> None:
    await workspace.play(
        configured(workspace),
        workspace.message(at=APRIL - INSTANT, address="+4915100000001"),
        workspace.message(at=APRIL, address="+4915100000002"),
    )
    proofs = {row["cycle_start"]: row["first_counted_at"] for row in await workspace.rows("mac_contacts")}
    assert proofs == {MARCH: APRIL - INSTANT, APRIL: APRIL}


async def test_rule_5_1_after_a_change_the_next_cycle_ends_at_the_first_new_boundary(workspace: Workspace) -> None:
    await workspace.play(configured(workspace, anchor_day=1), workspace.message(at=at(0)))
    await workspace.play(configured(workspace, at=at(10), anchor_day=15))
    assert (await cycles(workspace))[:4] == [MARCH, APRIL, utc("2025-04-15"), utc("2025-05-15")]


async def test_rule_5_2_accepted_messages_and_echoes_make_a_contact_active(workspace: Workspace) -> None:
    await workspace.play(
        configured(workspace),
        workspace.message(at=at(0), address="+4915100000001"),
        workspace.message(at=at(0), address="+4915100000001"),
        workspace.message(at=at(0), address="+4915100000002", kind="echo"),
        workspace.message(at=at(0), address="+4915100000003", kind="reaction"),
    )
    assert await active(workspace) == {MARCH: 3}


@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
async def test_rule_5_2_a_send_counts_once_the_provider_accepted_it(workspace: Workspace, status: str) -> None:
    send = workspace.send(at=at(0))
    await workspace.play(configured(workspace), send)
    await workspace.play(workspace.receipt(send, status, at=at(30)), workspace.receipt(send, "failed", at=at(40)))
    assert await active(workspace) == {MARCH: 1}
    assert (await workspace.row("mac_contacts"))["first_counted_at"] == at(30)


async def test_rule_5_2_the_event_time_of_a_send_is_its_earliest_acceptance(workspace: Workspace) -> None:
    send, early, ahead = (
        workspace.send(at=at(0), to={"address": a}) for a in (PHONE, "+4915100000001", "+4915100000002")
    )
    await workspace.play(configured(workspace), send, early, ahead)
    for status, minutes in (("read", 30), ("delivered", 20), ("sent", 25)):
        await workspace.play(workspace.receipt(send, status, at=at(minutes)))
    await workspace.play(workspace.receipt(early, "sent", at=at(-60)))  # not before it was asked for
    await workspace.play(workspace.receipt(ahead, "sent", at=now() + timedelta(hours=1)))  # not ahead of Kafka

    times = {row["contact_id"]: row["first_counted_at"] for row in await workspace.rows("mac_contacts")}
    assert times[await workspace.contact_id()] == at(20)
    assert times[await workspace.contact_id("+4915100000001")] == at(0)
    assert times[await workspace.contact_id("+4915100000002")] <= now()


async def test_rule_5_2_what_no_provider_accepted_counts_nothing(workspace: Workspace) -> None:
    company = workspace.command("define_status", name="vip", protected=True)
    profile = workspace.command("create_profile", profile_id="p1", name="Ana")
    status = workspace.command("set_profile_status", profile_id="p1", status="vip")
    attach = workspace.command("attach_contact", profile_id="p1", identity=WHATSAPP)
    block = workspace.command("block_contact", identity=identity("+4915100000009"), at=at(0))
    introduction = workspace.send(at=at(0))
    await workspace.play(configured(workspace), introduction, company, profile, status, attach, block)
    sends = [workspace.send(at=at(0), to={"address": f"+491510000000{n}"}) for n in range(3)]
    held, refused = workspace.send(at=at(0)), workspace.send(at=at(1), to={"address": "+4915100000009"})
    await workspace.play(*sends, held, refused)
    await workspace.play(workspace.command("reject_send", send_id=held["send_id"]))
    await workspace.play(
        *(workspace.receipt(s, w, at=at(2)) for s, w in zip(sends[:2], ("failed", "ambiguous"), strict=True))
    )

    statuses = {row["status"] for row in await workspace.rows("sends")}
    assert statuses == {"dispatched", "failed", "ambiguous", "rejected", "refused"}
    assert await active(workspace) == {}


async def test_rule_5_2_broadcasts_reactions_and_test_channels_count_as_the_settings_say(workspace: Workspace) -> None:
    async def played(one: Workspace, settings: Iterable[Json]) -> dict[datetime, int]:
        broadcast = one.send(at=at(0), source="broadcast")
        await one.play(*settings, broadcast)
        await one.play(
            one.receipt(broadcast, "sent", at=at(0)),
            one.message(at=at(0), address="+4915100000001", kind="reaction"),
            one.message(at=at(0), address="+4915100000002", channel_id="whatsapp-test"),
        )
        return await active(one)

    assert await played(workspace, [configured(workspace)]) == {MARCH: 3}
    other = Workspace(workspace.stage, f"{workspace.id}-other")
    off = configured(other, count_broadcasts=False, count_reactions=False)
    test_channel = other.command(
        "configure_channel", channel_id="whatsapp-test", channel="whatsapp", count=False, at=LONG_AGO
    )
    assert await played(other, [off, test_channel]) == {}


async def test_rule_5_2_a_switch_thrown_later_holds_from_the_next_cycle_on(workspace: Workspace) -> None:
    await workspace.play(configured(workspace, count_reactions=True))
    await workspace.play(configured(workspace, at=at(0), count_reactions=False))
    await workspace.play(*(workspace.message(at=m, kind="reaction") for m in (at(10), APRIL + timedelta(days=1))))
    assert await active(workspace) == {MARCH: 1}


async def test_rule_5_3_a_dropped_message_counts_until_the_cycle_after_the_block(workspace: Workspace) -> None:
    somebody_unknown = workspace.command("block_contact", identity=WHATSAPP, at=at(0))
    at_the_boundary = workspace.command("block_contact", identity=identity("+4915100000001"), at=APRIL)
    await workspace.play(configured(workspace), somebody_unknown, at_the_boundary)
    await workspace.play(
        *(workspace.message(at=m) for m in (at(10), APRIL)),
        *(workspace.message(at=m, address="+4915100000001") for m in (APRIL, APRIL + timedelta(days=9), MAY)),
    )

    assert await active(workspace) == {MARCH: 1, APRIL: 1}
    ledger = await workspace.rows("drop_ledger")
    assert {(row["event_time"], row["rule"], row["counted"]) for row in ledger} == {
        (at(10), "next_cycle", True),
        (APRIL, "next_cycle", False),
        (APRIL, "next_cycle", True),
        (APRIL + timedelta(days=9), "next_cycle", True),
        (MAY, "next_cycle", False),
    }


async def test_rule_5_3_each_interval_is_judged_by_its_own_begin(workspace: Workspace) -> None:
    second = APRIL + timedelta(days=5)
    moments = (at(0), at(60), second, None)
    commands = [
        workspace.command(f"{'un' if n % 2 else ''}block_contact", identity=WHATSAPP, at=m)
        for n, m in enumerate(moments)
        if m is not None
    ]
    await workspace.play(configured(workspace), *commands, workspace.message(at=second + timedelta(days=1)))
    assert await active(workspace) == {APRIL: 1}


async def test_rule_5_3_with_immediate_no_dropped_message_counts(workspace: Workspace) -> None:
    block = workspace.command("block_contact", identity=WHATSAPP, at=at(0))
    await workspace.play(configured(workspace, mac_block_effect="immediate"), block)
    await workspace.play(workspace.message(at=at(10)), workspace.message(at=APRIL))

    assert await active(workspace) == {}
    assert {(row["rule"], row["counted"]) for row in await workspace.rows("drop_ledger")} == {("immediate", False)}

    await workspace.play(workspace.message(at=at(-10)))
    assert await active(workspace) == {MARCH: 1}


async def test_rule_5_3_a_late_block_takes_back_what_it_covers(workspace: Workspace) -> None:
    await workspace.play(configured(workspace, mac_block_effect="immediate"), workspace.message(at=at(10)))
    assert await active(workspace) == {MARCH: 1}
    await workspace.play(workspace.command("block_contact", identity=WHATSAPP, at=at(0)))
    assert await active(workspace) == {}
    await workspace.play(workspace.command("unblock_contact", identity=WHATSAPP, at=at(5)))
    assert await active(workspace) == {MARCH: 1}


async def test_rule_5_4_the_proof_is_the_earliest_counted_message(workspace: Workspace) -> None:
    def id_of(message: Json) -> UUID:
        return message_id(workspace.id, message["channel_id"], "in", message["provider_message_id"])

    late = workspace.message("late", at=at(20))
    smaller, larger = sorted((workspace.message("early", at=at(10)) for _ in range(2)), key=id_of)
    await workspace.play(configured(workspace))
    proofs = []
    for message in (late, larger, smaller, larger):
        await workspace.play(message)
        row = await workspace.row("mac_contacts")
        proofs.append((row["first_message_id"], row["first_counted_at"]))

    expected = ((late, 20), (larger, 10), (smaller, 10), (smaller, 10))
    assert proofs == [(id_of(message), at(minutes)) for message, minutes in expected]
    assert await active(workspace) == {MARCH: 1}


async def test_rule_5_4_a_dropped_message_may_be_the_proof(workspace: Workspace) -> None:
    commands = [workspace.command(f"{kind}_contact", identity=WHATSAPP, at=at(m)) for kind, m in BLOCK_OF_TEN_MINUTES]
    dropped = workspace.message("dropped", at=at(5))
    await workspace.play(configured(workspace), *commands, workspace.message(at=at(20)), dropped)

    proof = await workspace.row("mac_contacts")
    assert proof["first_message_id"] == UUID(str((await workspace.row("drop_ledger"))["message_id"]))
    explained = await workspace.stage.pool.fetch(
        "SELECT * FROM sluice.explain_mac($1, $2, $3)", workspace.id, MARCH, proof["contact_id"]
    )
    assert [row["counted"] for row in explained] == [True, True]


BLOCK_OF_TEN_MINUTES = (("block", 0), ("unblock", 10))


async def test_rule_5_4_every_cycle_since_the_first_message_has_a_row(workspace: Workspace) -> None:
    await workspace.play(configured(workspace), workspace.message(at=MAY), workspace.message(at=MARCH))

    rows = {row["cycle_start"]: row for row in await workspace.rows("mac_counts")}
    assert min(rows) == MARCH
    assert max(row["cycle_end"] for row in rows.values()) > now()
    assert [rows[cycle]["active_contacts"] for cycle in (MARCH, APRIL, MAY)] == [1, 0, 1]
    assert (await cycles(workspace))[:3] == [MARCH, APRIL, MAY]


async def test_rule_5_4_counting_again_from_the_messages_gives_the_same_number(workspace: Workspace) -> None:
    facts = [workspace.message(at=at(n % 7 * 9000), address=f"+49151000000{10 + n % 13}") for n in range(60)]
    blocks = [
        workspace.command("block_contact", identity=identity(f"+49151000000{10 + n}"), at=at(5000 * n))
        for n in range(3)
    ]
    await workspace.play(configured(workspace))
    await workspace.play_together(*facts, *blocks, *facts[::3])

    counted = await workspace.stage.pool.fetch(
        "SELECT cycle_start, count(*) FROM sluice.mac_contacts WHERE workspace_id = $1 GROUP BY 1", workspace.id
    )
    assert await active(workspace) == dict(map(tuple, counted))
    for row in await workspace.rows("mac_contacts"):
        explained = await workspace.stage.pool.fetch(
            "SELECT message_id FROM sluice.explain_mac($1, $2, $3) WHERE counted ORDER BY event_time, message_id",
            *(row[name] for name in ("workspace_id", "cycle_start", "contact_id")),
        )
        assert explained[0]["message_id"] == row["first_message_id"]


async def test_section_10_the_bounds_meet_once_everything_is_applied(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=now()))

    async def read() -> bool:
        return (await workspace.row("mac_bounds"))["as_of"] is not None

    await workspace.stage.until(read, "nobody has read the ends of the input")
    row = await workspace.row("mac_bounds")
    assert (row["at_least"], row["at_most"]) == (1, 1)

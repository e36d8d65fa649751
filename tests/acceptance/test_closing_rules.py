"""Contract 5.5 and 5.6 through topics and views: a month closes, and late facts adjust it.

On a stage of its own: elsewhere every record has the time of today, and here the records of the month have theirs.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from tests.acceptance.stage import Json, Stage, Workspace, identity, set_stage
from tests.support.brokers import Broker
from tests.support.databases import Databases
from workers.dev.broker import embedded_broker

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARCH: Final = datetime(2025, 3, 1, tzinfo=UTC)
END: Final = datetime(2025, 4, 1, tzinfo=UTC)
CLOSES: Final = END + timedelta(hours=72)
HOUR: Final = timedelta(hours=1)
PHONES: Final = [f"+49151000002{n:02}" for n in range(9)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def past(databases: Databases) -> AsyncIterator[Stage]:
    with embedded_broker() as bootstrap:
        async with databases.migrated() as url, set_stage(Broker("embedded", bootstrap), url) as stage:
            yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def month(past: Stage) -> Workspace:
    return Workspace(past, "closing")


async def closed(workspace: Workspace) -> Json:
    """The month's row once it is closed."""

    async def is_closed() -> bool:
        row = await workspace.row("mac_counts", cycle_start=MARCH)
        return str(row["status"]) == "closed"

    await workspace.stage.until(is_closed, "the month does not close")
    return await workspace.row("mac_counts", cycle_start=MARCH)


async def adjusted(workspace: Workspace, *causes: str) -> list[Json]:
    """The month's adjustments once there are some of these causes, oldest first."""

    async def rows() -> list[Json]:
        found = await workspace.rows("mac_adjustments", cycle_start=MARCH)
        return sorted(found, key=lambda row: row["adjustment_id"])

    async def are_there() -> bool:
        return [row["cause"] for row in await rows()] == list(causes)

    await workspace.stage.until(are_there, f"there are other adjustments than {causes}")
    return await rows()


async def told(workspace: Workspace) -> Json:
    """The last record of the month on billing.mac."""
    outputs = await workspace.outputs("billing.mac")
    found: list[Json] = [out.value for out in outputs if out.value["cycle_start"] == "2025-03-01T00:00:00Z"]
    return found[-1]


def settings(workspace: Workspace, at: datetime, **values: Any) -> Json:
    return workspace.command("configure_workspace", at=at, set=values)


async def test_rule_5_6_a_month_closes_and_late_facts_adjust_it(month: Workspace) -> None:
    open_for_years = settings(month, MARCH, close_grace_hours=80_000, mac_block_effect="immediate")
    await month.play(open_for_years, recorded_at=MARCH)
    await month.play_together(
        *(month.message(at=MARCH + n * HOUR, address=phone) for n, phone in enumerate(PHONES[:5])),
        recorded_at=END + HOUR,
    )
    assert (await month.row("mac_counts", cycle_start=MARCH))["status"] == "open"
    await month.play(settings(month, END, close_grace_hours=72), recorded_at=END + HOUR)

    row = await closed(month)
    assert (row["active_contacts"], row["adjustments"]) == (5, 0)
    assert row["closed_at"] is not None
    first = await told(month)
    assert (first["status"], first["active_contacts"], first["adjustments"]) == ("closed", 5, 0)
    proofs = await month.rows("mac_contacts", cycle_start=MARCH)

    late = month.message(at=MARCH + HOUR, address=PHONES[7])
    await month.play(late, recorded_at=CLOSES)
    [found] = await adjusted(month, "late_message")
    assert (found["amount"], found["contact_id"]) == (1, await month.contact_id(PHONES[7]))

    block = month.command("block_contact", identity=identity(PHONES[0]), at=MARCH - HOUR)
    await month.play(block, recorded_at=CLOSES)
    assert [row["amount"] for row in await adjusted(month, "late_message", "late_block")] == [1, -1]
    unblock = month.command("unblock_contact", identity=identity(PHONES[0]), at=MARCH - HOUR / 2)
    await month.play(unblock, recorded_at=CLOSES)
    await adjusted(month, "late_message", "late_block", "late_unblock")

    survivor, loser = await month.contact_id(PHONES[1]), await month.contact_id(PHONES[2])
    merge = month.command("merge_contacts", survivor_id=survivor, loser_id=loser, at=CLOSES - HOUR)
    await month.play(merge, recorded_at=CLOSES)
    assert (await adjusted(month, "late_message", "late_block", "late_unblock", "merge"))[-1]["amount"] == -1

    other = [await month.contact_id(phone) for phone in PHONES[3:5]]
    after = month.command("merge_contacts", survivor_id=other[0], loser_id=other[1], at=CLOSES + HOUR)
    await month.play(after, recorded_at=CLOSES + HOUR)
    send = month.send(to={"address": PHONES[8]}, at=MARCH + HOUR)
    await month.play(send, recorded_at=CLOSES + HOUR)
    await month.play(month.receipt(send, "delivered", at=END - HOUR), recorded_at=CLOSES + HOUR)
    causes = ("late_message", "late_block", "late_unblock", "merge", "late_receipt")
    facts = {row["cause"]: row for row in await adjusted(month, *causes)}
    assert facts["late_receipt"]["amount"] == 1

    assert await month.rows("mac_contacts", cycle_start=MARCH) == proofs
    row = await month.row("mac_counts", cycle_start=MARCH)
    assert (row["active_contacts"], row["adjustments"]) == (5, 1)
    last = await told(month)
    assert (last["active_contacts"], last["adjustments"], last["status"]) == (5, 1, "closed")
    assert last["revision"] == row["revision"] > first["revision"]
    assert UUID(facts["merge"]["fact_id"]) == UUID(merge["command_id"])
    assert UUID(facts["late_block"]["fact_id"]) == UUID(block["command_id"])


async def test_rule_5_6_only_an_owner_closes_and_only_what_is_past(past: Stage) -> None:
    month = Workspace(past, "owners")
    await month.play(month.message(at=END - HOUR, address=PHONES[6]), recorded_at=CLOSES + HOUR)
    await closed(month)
    await month.play(month.message(at=END + HOUR, address=PHONES[6]), recorded_at=CLOSES + 2 * HOUR)
    [this_month] = [row for row in await month.rows("mac_counts") if row["cycle_end"] > datetime.now(UTC)]
    asked = month.command("close_cycle", cycle_start=this_month["cycle_start"], reason="too early")
    unknown = month.command("close_cycle", cycle_start=MARCH + HOUR, reason="no such month")
    again = month.command("close_cycle", cycle_start=MARCH, reason="it is closed already")
    manager = {"id": "max", "role": "manager", "module": "settings"}
    managers = month.command("close_cycle", cycle_start=MARCH, reason="as a manager", actor=manager)
    await month.play(asked, unknown, again, managers)
    results = [await month.result(command) for command in (asked, unknown, again, managers)]
    assert [r["reason"] for r in results] == ["invalid", "not_found", None, "not_permitted"]
    assert results[2]["changed"] == {}

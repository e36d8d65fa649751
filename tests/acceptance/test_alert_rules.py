"""The alerts about `mac_limit`. The workspaces' months begin yesterday, so that the one before is open as well."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.acceptance.schema import breaches
from tests.acceptance.stage import Json, Published, Workspace, now

BEGIN: Final = (now() - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
HOUR: Final = timedelta(hours=1)


def limited(workspace: Workspace, limit: int | None, **more: Any) -> Json:
    """Given first it also sets the day on which months begin."""
    return workspace.command("configure_workspace", set={"mac_limit": limit} | more)


def people(workspace: Workspace, *numbers: int, at: datetime = BEGIN + HOUR) -> list[Json]:
    """A message of each."""
    return [workspace.message(at=at, address=f"+49151000001{n:02}") for n in numbers]


def shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def alerts(workspace: Workspace) -> list[Published]:
    """Each alert once, as they came."""
    return list({out.head["ce_id"]: out for out in await workspace.outputs("billing.alerts")}.values())


async def told(workspace: Workspace) -> list[tuple[str, int, int, int]]:
    names = ("cycle_start", "threshold", "active_contacts", "limit")
    return [tuple(out.value[name] for name in names) for out in await alerts(workspace)]


async def test_a_count_that_reaches_a_share_of_the_limit_is_told_once(workspace: Workspace) -> None:
    unlimited = Workspace(workspace.stage, f"{workspace.id}-unlimited")
    begin = shown(BEGIN)
    await workspace.play(limited(workspace, 10, anchor_day=BEGIN.day), *people(workspace, 0, 1, at=BEGIN - HOUR))
    await workspace.play_together(*people(unlimited, 1), *people(workspace, *range(8)))
    assert await told(workspace) == [(begin, 80, 8, 10)]

    await workspace.play_together(*people(workspace, *range(13)))
    found = await told(workspace)
    assert [alert[:2] for alert in found] == [(begin, 80), (begin, 100), (begin, 120)]
    assert {row["active_contacts"] for row in await workspace.rows("mac_counts")} == {13, 2}  # nothing is dropped

    # What was told is not told again; each other cycle is told for itself.
    [before] = [shown(row["cycle_start"]) for row in await workspace.rows("mac_counts", active_contacts=2)]
    await workspace.play(*people(workspace, 13), limited(workspace, 2))
    assert (await told(workspace))[len(found) :] == [(before, 80, 2, 2), (before, 100, 2, 2)]
    await workspace.play(limited(workspace, None), *people(workspace, *range(5), at=BEGIN - HOUR))
    assert len(await told(workspace)) == len(found) + 2
    assert await told(unlimited) == []


async def test_an_alert_has_the_shape_the_key_and_the_id_of_the_contract(workspace: Workspace) -> None:
    await workspace.play(*people(workspace, 1, 2, at=now()), limited(workspace, 2))

    outputs = await alerts(workspace)
    assert [out.value["threshold"] for out in outputs] == [80, 100]
    for out in outputs:
        assert set(out.value) == {"workspace_id", "cycle_start", "threshold", "active_contacts", "limit", "at"}
        assert breaches("billing.alerts", out.value) == []
        assert out.key == workspace.id.encode()
        assert UUID(out.head["ce_id"]).version == 5
        assert out.head["ce_type"] == "sluice.billing.alerts"
        assert out.head["ce_source"] == f"/sluice/{workspace.id}"
        assert out.head["ce_time"] == out.value["at"]


async def test_a_month_that_is_divided_again_is_told_for_its_new_beginning(workspace: Workspace) -> None:
    await workspace.play(limited(workspace, 1, anchor_day=BEGIN.day), *people(workspace, 1))
    first = await told(workspace)
    await workspace.play(workspace.command("configure_workspace", set={"time_zone": "Europe/Berlin"}))

    assert first == [(shown(BEGIN), 80, 1, 1), (shown(BEGIN), 100, 1, 1)]
    in_berlin = shown(BEGIN.replace(tzinfo=ZoneInfo("Europe/Berlin")))
    assert (await told(workspace))[2:] == [(in_berlin, 80, 1, 1), (in_berlin, 100, 1, 1)]

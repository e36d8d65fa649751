"""The alerts about `mac_limit`. Every cycle here is long past and kept open by the settings."""

from uuid import UUID

from tests.acceptance.schema import breaches
from tests.acceptance.stage import Json, Published, Workspace, at

MARCH, APRIL = "2025-03-01T00:00:00Z", "2025-04-01T00:00:00Z"
OPEN = {"close_grace_hours": 80_000}
MONTH = 31 * 24 * 60


def limited(workspace: Workspace, limit: int | None, minutes: float = 0) -> Json:
    return workspace.command("configure_workspace", at=at(minutes), set=OPEN | {"mac_limit": limit})


def people(workspace: Workspace, *numbers: int, minutes: float = 0) -> list[Json]:
    """A message of each."""
    return [workspace.message(at=at(minutes), address=f"+49151000001{n:02}") for n in numbers]


async def alerts(workspace: Workspace) -> list[Published]:
    """Each alert once, as they came."""
    return list({out.head["ce_id"]: out for out in await workspace.outputs("billing.alerts")}.values())


async def told(workspace: Workspace) -> list[tuple[str, int, int, int]]:
    names = ("cycle_start", "threshold", "active_contacts", "limit")
    return [tuple(out.value[name] for name in names) for out in await alerts(workspace)]


async def test_a_count_that_reaches_a_share_of_the_limit_is_told_once(workspace: Workspace) -> None:
    unlimited = Workspace(workspace.stage, f"{workspace.id}-unlimited")
    await workspace.play_together(*people(unlimited, 1), *people(workspace, 0, 1, minutes=MONTH))
    await workspace.play_together(limited(workspace, 10), *people(workspace, *range(8)))
    assert await told(workspace) == [(MARCH, 80, 8, 10)]

    await workspace.play_together(*people(workspace, *range(13)))
    found = await told(workspace)
    assert [alert[:2] for alert in found] == [(MARCH, 80), (MARCH, 100), (MARCH, 120)]
    assert {row["active_contacts"] for row in await workspace.rows("mac_counts")} == {13, 2, 0}  # nothing is dropped

    # What was told is not told again; each other cycle is told for itself.
    await workspace.play(*people(workspace, 13), limited(workspace, 2, minutes=1))
    assert (await told(workspace))[len(found) :] == [(APRIL, 80, 2, 2), (APRIL, 100, 2, 2)]
    await workspace.play(limited(workspace, None, minutes=2), *people(workspace, *range(5), minutes=MONTH))
    assert len(await told(workspace)) == len(found) + 2
    assert await told(unlimited) == []


async def test_an_alert_has_the_shape_the_key_and_the_id_of_the_contract(workspace: Workspace) -> None:
    await workspace.play(*people(workspace, 1, 2), limited(workspace, 2))

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
    await workspace.play(limited(workspace, 1), *people(workspace, 1))
    first = await told(workspace)
    await workspace.play(workspace.command("configure_workspace", at=at(5), set={"time_zone": "Europe/Berlin"}))

    assert first == [(MARCH, 80, 1, 1), (MARCH, 100, 1, 1)]
    assert (await told(workspace))[2:] == [("2025-02-28T23:00:00Z", threshold, 1, 1) for threshold in (80, 100)]

"""What the API tells before something is given, after a merge, and to operators."""

from uuid import UUID

from tests.acceptance.making import PHONE, WHATSAPP
from tests.acceptance.scenes import hold, phone, protect, whatsapp
from tests.console.running import Team


async def test_an_address_is_asked_for_as_somebody_types_it(team: Team) -> None:
    await protect(team.workspace)
    await team.workspace.play(
        team.workspace.command("configure_channel", channel_id="whatsapp-main", channel="whatsapp", default_region="DE")
    )
    at = f"/workspaces/{team.workspace.id}/may-send"
    contact_id = str(await team.workspace.contact_id())
    asked = [
        {"address": PHONE, "channel": "whatsapp"},
        {"address": f"0{PHONE[3:6]} {PHONE[6:]}", "channel": "whatsapp-main"},
        {"contact_id": contact_id, "channel": "whatsapp"},
    ]
    told = [(await team.agent.api.get(at, params=params)).json() for params in asked]
    unfit = [
        (await team.agent.api.get(at, params=params)).status_code
        for params in (
            {"channel": "sms"},
            {"address": "1", "contact_id": contact_id, "channel": "sms"},
            {"address": "1"},
        )
    ]
    pigeon = await team.agent.api.get(at, params={"address": "1", "channel": "pigeon"})

    protected = {"allowed": False, "reason": "status_protected", "reasons": ["status_protected"], "not_known": None}
    assert told == [protected] * 3
    assert unfit == [422] * 3
    assert pigeon.json()["errors"][0]["field"] == "channel"


async def test_the_impact_is_what_the_command_does(team: Team) -> None:
    await hold(team.workspace)
    await team.workspace.play(team.workspace.event("run_started", "r-1"))
    at = f"/workspaces/{team.workspace.id}"
    contact_id = str(await team.workspace.contact_id())
    by_address = {"identity.channel": "whatsapp", "identity.address": PHONE}
    told = [
        (await team.agent.api.get(f"{at}/impact", params={"command": "block_contact"} | target)).json()
        for target in ({"contact_id": contact_id}, by_address)
    ]
    several = await team.owner.api.get(f"{at}/impact", params={"command": "delete_contacts", "contact_ids": contact_id})
    everybody = await team.owner.api.get(f"{at}/impact", params={"command": "delete_contacts", "all": "true"})
    done = await team.owner.api.post(f"{at}/commands", json={"command": "block_contact", "identity": WHATSAPP})

    assert told[0] == told[1] == {"runs": 1, "holds": 1, "messages": 0, "contacts": 1, "active_contacts": 0}
    assert (several.json()["contacts"], everybody.json()["contacts"]) == (1, 1)
    changed = done.json()["changed"]
    assert (changed["runs_halted"], changed["holds_cancelled"]) == (told[0]["runs"], told[0]["holds"])


async def test_an_impact_that_does_not_fit_is_told_by_field(team: Team) -> None:
    asked = {
        "command": {},
        "contact_id": {"command": "block_contact", "contact_id": "x"},
        "expected_count": {"command": "delete_contacts", "expected_count": "x", "all": "true"},
        "noet": {"command": "block_contact", "noet": "x"},
    }
    for field, params in asked.items():
        told = await team.owner.api.get(f"/workspaces/{team.workspace.id}/impact", params=params)
        assert (told.status_code, [one["field"] for one in told.json()["errors"]]) == (422, [field])


async def test_an_old_id_leads_to_the_survivor_with_the_rest_of_the_address(team: Team) -> None:
    workspace = team.workspace
    await workspace.play(workspace.message(address=phone(1)), workspace.message(address=phone(2)))
    rows = {row["phone"]: row["contact_id"] for row in await workspace.rows("contact_overview")}
    survivor, loser = rows[phone(1)], rows[phone(2)]
    await workspace.play(workspace.command("merge_contacts", survivor_id=survivor, loser_id=loser))
    at = f"/workspaces/{workspace.id}/contacts"

    for rest in ("", "/messages?limit=1", "/channels", "/explain"):
        told = await team.agent.api.get(f"{at}/{loser}{rest}")
        assert told.status_code == 308
        assert told.headers["location"] == f"/api/v1{at}/{survivor}{rest}"
        assert (await team.agent.api.get(f"{at}/{survivor}{rest}")).status_code == 200
    found = (await team.agent.api.get(f"{at}/{survivor}/channels")).json()["items"]
    assert {row["address"] for row in found} == {phone(1), phone(2)}


async def test_contacts_are_found_listed_by_tag_and_shown_apart_when_blocked(team: Team) -> None:
    workspace = team.workspace
    await workspace.play(workspace.message(address=phone(1)), workspace.message(address=phone(2)))
    await workspace.play(
        workspace.command("add_tag", identity=whatsapp(phone(1)), tag="vip"),
        workspace.command("block_contact", identity=whatsapp(phone(2))),
    )
    at = f"/workspaces/{workspace.id}/contacts"
    queries = {"all": {}, "found": {"q": phone(1)}, "tagged": {"tag": "vip"}, "blocked": {"blocked": "true"}}
    told = {name: (await team.agent.api.get(at, params=params)).json()["items"] for name, params in queries.items()}
    two = await team.agent.api.get(at, params={"q": "x", "blocked": "true"})

    numbers = {name: [row["phone"] for row in rows] for name, rows in told.items()}
    assert numbers == {"all": [phone(1)], "found": [phone(1)], "tagged": [phone(1)], "blocked": [phone(2)]}
    assert told["blocked"][0]["blocked_by"] is not None
    assert two.status_code == 422


async def test_the_months_are_counted_explained_and_drawn(team: Team) -> None:
    await team.workspace.play(team.workspace.message())
    contact_id: UUID = await team.workspace.contact_id()
    at = f"/workspaces/{team.workspace.id}"
    [count] = (await team.agent.api.get(f"{at}/mac")).json()["items"]
    cycle = f"{at}/mac/{count['cycle_start']}"
    [counted] = (await team.agent.api.get(f"{cycle}/contacts")).json()["items"]
    adjusted = await team.agent.api.get(f"{cycle}/adjustments")
    explained = (await team.agent.api.get(f"{at}/contacts/{contact_id}/explain")).json()["items"]
    chart = await team.agent.api.get(f"{at}/mac/chart.svg")

    assert (count["active_contacts"], counted["contact_id"]) == (1, str(contact_id))
    assert adjusted.json() == {"items": [], "next": None}
    assert [row["message_id"] for row in explained] == [counted["first_message_id"]]
    assert (chart.headers["content-type"], chart.text[:4]) == ("image/svg+xml", "<svg")
    for nothing in (
        f"{at}/mac/2001-01-01T00:00:00Z/contacts",
        f"{at}/mac/x/contacts",
        f"{at}/mac/chart.svg?cycle=2001-01-01T00:00:00Z",
    ):
        assert (await team.agent.api.get(nothing)).status_code == 404


async def test_a_dead_letter_is_replayed_once_and_dismissed(team: Team) -> None:
    stage = team.workspace.stage
    sent = await stage.publish("messages.inbound", (b"a key", b"no record"), headers=[("mine", b"1")])
    await stage.applied()
    letters = (await team.operator.api.get("/dead-letters", params={"status": "new"})).json()["items"]
    letter = next(one for one in letters if one["source_offset"] == sent[0].offset)["id"]

    first = await team.operator.api.post(f"/dead-letters/{letter}/replay")
    await stage.until(lambda: _came_again(team, letter), "the record did not come again")
    dismissed = [await team.operator.api.post(f"/dead-letters/{letter}/dismiss") for _ in range(2)]
    unknown = await team.operator.api.post("/dead-letters/4711000/replay")

    assert (first.status_code, first.json()["outcome"]) == (200, "replayed")
    assert [one.json()["outcome"] for one in dismissed] == ["dismissed", "unchanged"]
    assert unknown.status_code == 404


async def _came_again(team: Team, letter: int) -> bool:
    row = await team.workspace.stage.pool.fetchrow("SELECT * FROM sluice.dead_letters WHERE id = $1", letter)
    return bool(row["attempts"] == 2 and row["status"] == "new")

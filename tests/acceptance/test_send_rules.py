"""Contract section 4, rules 1 and 2: which sends are refused and which are held."""

from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from tests.acceptance.scenes import (
    at,
    claim,
    dispatched,
    halt,
    hold,
    join_company,
    moment,
    phone,
    protect,
    standing,
    told,
)
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace

HELD_SENDS: Final = {
    *("workspace_id", "send_id", "group_id", "contact_id", "profile_id", "channel", "content", "reasons"),
    *("releasable", "requested_by", "requested_at", "held_at", "expires_at"),
}
SENDS: Final = {
    "workspace_id",
    "send_id",
    "group_id",
    "contact_id",
    "channel",
    "status",
    "reason",
    "attempt",
    "updated_at",
}


# --- 4.1 refuse


async def test_rule_4_1_a_blocked_contact_is_refused(workspace: Workspace) -> None:
    send = workspace.send(at=at(10))
    await workspace.play(workspace.command("block_contact", identity=WHATSAPP, at=at(5)), send)
    contact_id = await workspace.contact_id()

    row = await workspace.row("sends")
    assert row.keys() == SENDS
    assert (row["contact_id"], row["status"], row["reason"], row["attempt"]) == (
        contact_id,
        "refused",
        "contact_blocked",
        0,
    )
    [fact] = await told(workspace, send)
    assert (fact["status"], fact["reason"], fact["reasons"], fact["attempt"]) == (
        "refused",
        "contact_blocked",
        None,
        None,
    )
    assert (fact["contact_id"], fact["actor"], fact["revision"]) == (str(contact_id), None, 1)
    assert await dispatched(workspace, send) == []


async def test_rule_4_1_blocked_when_it_was_requested_is_refused_also_after_the_unblock(workspace: Workspace) -> None:
    during, before, after = (workspace.send(at=at(minutes)) for minutes in (6, 4, 8))
    edge_in, edge_out = workspace.send(at=at(5)), workspace.send(at=at(7))
    await workspace.play(
        workspace.message(at=at(0)),
        workspace.command("block_contact", identity=WHATSAPP, at=at(5)),
        workspace.command("unblock_contact", identity=WHATSAPP, at=at(7)),
    )
    await workspace.play_together(during, before, after, edge_in, edge_out)

    refused = ("refused", "contact_blocked", 0)
    assert [await standing(workspace, send) for send in (during, edge_in)] == [refused] * 2
    assert [(await standing(workspace, send))[0] for send in (before, after, edge_out)] == ["dispatched"] * 3


async def test_rule_4_1_who_opted_out_is_refused_until_they_start_again(workspace: Workspace) -> None:
    stopped, started = workspace.send(at=at(2)), workspace.send(at=at(4))
    await workspace.play(workspace.message("Stop.", at=at(1)), stopped, workspace.message("START", at=at(3)), started)

    assert await standing(workspace, stopped) == ("refused", "opted_out", 0)
    assert await standing(workspace, started) == ("dispatched", None, 1)


async def test_rule_4_1_where_the_contact_must_write_first(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)))
    to_contact: Json = {"to": {"contact_id": await workspace.contact_id()}}
    sends = [
        workspace.send(channel="messenger", **to_contact),
        workspace.send(channel="email", **to_contact),  # no address on file
        workspace.send(channel="telegram", to={"address": "4711"}),
        workspace.send(channel="webchat", to={"address": "visitor"}),
    ]
    await workspace.play_together(*sends)

    assert [await standing(workspace, s) for s in sends] == [("refused", "contact_must_initiate", 0)] * 4
    assert len(await workspace.rows("contact_overview")) == 1


async def test_rule_4_1_impossible_addresses_and_unknown_contacts(workspace: Workspace) -> None:
    bad = [
        workspace.send(to={"address": "1-800-FLOWERS"}),
        workspace.send(to={"address": "12345"}, channel="sms"),
        workspace.send(to={"address": "nobody"}, channel="email"),
    ]
    unknown = workspace.send(to={"contact_id": str(uuid4())})
    await workspace.play_together(*bad, unknown)

    assert [await standing(workspace, s) for s in bad] == [("refused", "bad_address", 0)] * 3
    assert await standing(workspace, unknown) == ("refused", "unknown_contact", 0)
    assert await workspace.rows("contact_overview") == []


async def test_rule_4_1_a_send_of_a_halted_run_is_refused(workspace: Workspace) -> None:
    await halt(workspace, "r-1")
    send = workspace.send(at=at(4), source="workflow", run_id="r-1", step_id="1")
    await workspace.play(send)

    assert await standing(workspace, send) == ("refused", "run_halted", 0)


async def test_rule_4_1_a_run_that_was_told_its_end_sends_nothing_more(workspace: Workspace) -> None:
    # Refused because it began inside the block; later it turns out that the block was over by then.
    await workspace.play(
        workspace.command("block_contact", identity=WHATSAPP, at=at(1)),
        workspace.event("run_started", "r-1", at=at(5)),
        workspace.command("unblock_contact", identity=WHATSAPP, at=at(3)),
    )
    send = workspace.send(at=at(6), source="workflow", run_id="r-1", step_id="1")
    await workspace.play(send)

    assert await standing(workspace, send) == ("refused", "run_halted", 0)


async def test_rule_4_1_of_several_reasons_the_first_is_told(workspace: Workspace) -> None:
    await protect(workspace)
    workflow: Json = {"source": "workflow", "run_id": "r-1", "step_id": "1"}
    nobody: Json = {"to": {"address": "nobody"}}
    await workspace.play(
        workspace.event("run_started", "r-1", at=at(1)),
        workspace.command("block_contact", identity=WHATSAPP, at=at(2)),
        workspace.message("STOP", at=at(3)),
    )
    blocked = workspace.send(at=at(4), **workflow)
    await workspace.play(blocked, workspace.command("unblock_contact", identity=WHATSAPP, at=at(5)))
    opted_out, halted_first = workspace.send(at=at(6), **workflow), workspace.send(at=at(6), **workflow, **nobody)
    await workspace.play_together(opted_out, halted_first)
    await workspace.play(workspace.message("START", at=at(7)))
    halted, bad, held = (
        workspace.send(at=at(8), **workflow),
        workspace.send(at=at(8), **nobody),
        workspace.send(at=at(8)),
    )
    await workspace.play_together(halted, bad, held)

    expected = ["contact_blocked", "opted_out", "run_halted", "run_halted", "bad_address"]
    sends = [blocked, opted_out, halted_first, halted, bad]
    assert [(await standing(workspace, send))[1] for send in sends] == expected
    assert await standing(workspace, held) == ("held", None, 0)


# --- 4.2 hold


async def test_rule_4_2_a_hold_shows_recipient_text_reasons_requester_age_and_expiry(workspace: Workspace) -> None:
    send = await hold(workspace, text="about your order", group_id="g-1")

    row = await workspace.row("held_sends")
    assert row.keys() == HELD_SENDS
    assert (row["send_id"], row["group_id"], row["profile_id"]) == (UUID(send["send_id"]), "g-1", "p-vip")
    assert row["contact_id"] == await workspace.contact_id()
    assert (row["channel"], row["content"]["text"]) == ("whatsapp", "about your order")
    assert (row["reasons"], row["releasable"]) == (["status_protected"], False)
    assert (row["requested_by"], row["requested_at"]) == ("anna", at(10))
    assert row["expires_at"] - row["held_at"] == timedelta(hours=72)
    [fact] = await told(workspace, send)
    assert (fact["status"], fact["reason"], fact["reasons"], fact["attempt"]) == (
        "held",
        None,
        ["status_protected"],
        None,
    )
    assert moment(fact["at"]) == row["held_at"]
    assert await dispatched(workspace, send) == []


async def test_rule_4_2_a_protected_company_holds_and_both_reasons_are_shown(workspace: Workspace) -> None:
    await protect(workspace)
    await join_company(workspace, "c-1")
    both = workspace.send()
    await workspace.play(both, workspace.command("define_status", name="vip", protected=False))
    company = workspace.send()
    await workspace.play(company, workspace.command("unprotect_company", company_id="c-1"))
    neither = workspace.send()
    await workspace.play(neither)

    reasons = {str(row["send_id"]): row["reasons"] for row in await workspace.rows("held_sends")}
    assert {send_id: set(shown) for send_id, shown in reasons.items()} == {
        both["send_id"]: {"status_protected", "company_protected"},
        company["send_id"]: {"company_protected"},
    }
    assert await standing(workspace, neither) == ("dispatched", None, 1)


async def test_rule_4_2_a_protection_that_cannot_be_read_holds(workspace: Workspace) -> None:
    await protect(workspace)
    await workspace.stage.pool.execute("DELETE FROM sluice_core.profiles WHERE workspace_id = $1", workspace.id)
    send = workspace.send()
    await workspace.play(send)

    assert await standing(workspace, send) == ("held", None, 0)
    assert (await workspace.row("held_sends"))["reasons"] == ["protection_unknown"]


async def test_rule_4_2_every_contact_of_a_protected_profile_is_held_and_nobody_else(workspace: Workspace) -> None:
    await protect(workspace, PHONE, phone(1))
    sends = [workspace.send(to={"address": address}) for address in (PHONE, phone(1), phone(2))]
    await workspace.play_together(*sends)

    assert [(await standing(workspace, send))[0] for send in sends] == ["held", "held", "dispatched"]


async def test_rule_4_2_a_confirmation_that_comes_with_the_request_is_enough(workspace: Workspace) -> None:
    await protect(workspace)
    confirmation = {"confirmed_by": "anna", "confirmed_at": at(9)}
    send = workspace.send(at=at(10), confirmation=confirmation)
    await workspace.play(send)

    assert await standing(workspace, send) == ("dispatched", None, 1)
    [fact] = await dispatched(workspace, send)
    assert fact["confirmation"]["confirmed_by"] == "anna"
    assert moment(fact["confirmation"]["confirmed_at"]) == at(9)
    assert await claim(workspace, send) == (True, None)


async def test_rule_4_2_a_confirmation_older_than_the_protection_does_not_cover_it(workspace: Workspace) -> None:
    await protect(workspace)
    send = workspace.send(at=at(10), confirmation={"confirmed_by": "anna", "confirmed_at": at(-1)})
    await workspace.play(send)

    assert await standing(workspace, send) == ("held", None, 0)


async def test_rule_4_2_with_two_person_confirm_the_confirmation_is_somebody_elses(workspace: Workspace) -> None:
    await protect(workspace)
    await workspace.play(workspace.command("configure_workspace", set={"two_person_confirm": True}))
    own = workspace.send(confirmation={"confirmed_by": "anna", "confirmed_at": at(9)})
    other = workspace.send(confirmation={"confirmed_by": "bert", "confirmed_at": at(9)})
    await workspace.play_together(own, other)

    assert [(await standing(workspace, send))[0] for send in (own, other)] == ["held", "dispatched"]

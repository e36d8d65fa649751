"""Contract section 4, rules 3 and 5: dispatch, claims, repeated judging, and the target address."""

from typing import Final

from tests.acceptance.scenes import (
    at,
    become,
    claim,
    dispatched,
    pass_time,
    phone,
    protect,
    standing,
    statuses,
    whatsapp,
)
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace

DISPATCH: Final = {
    *("workspace_id", "send_id", "attempt", "channel_id", "channel", "contact_id", "address", "content", "source"),
    *("group_id", "confirmation"),
}


# --- judged when decided and again when dispatched; for the contact and for the owner of the address


async def test_rule_4_the_judgement_at_dispatch_wins(workspace: Workspace) -> None:
    send = workspace.send(at=at(1))
    await workspace.play(workspace.message(at=at(0)), send)
    assert await standing(workspace, send) == ("dispatched", None, 1)

    await workspace.play(workspace.command("block_contact", identity=WHATSAPP, at=at(2)))
    assert await claim(workspace, send) == (False, "contact_blocked")
    await become(workspace, send, "refused")

    assert await standing(workspace, send) == ("refused", "contact_blocked", 1)
    assert await statuses(workspace, send) == ["dispatched", "refused"]


async def test_rule_4_a_protection_that_begins_before_the_claim_holds(workspace: Workspace) -> None:
    send = workspace.send(at=at(1))
    await workspace.play(workspace.message(at=at(0)), send)
    await protect(workspace)

    assert await claim(workspace, send) == (False, "status_protected")
    await become(workspace, send, "held")
    assert (await workspace.row("held_sends"))["reasons"] == ["status_protected"]

    confirm = workspace.command("confirm_send", send_id=send["send_id"])
    await workspace.play(confirm)
    assert (await workspace.result(confirm))["changed"] == {"released": 1}
    assert await standing(workspace, send) == ("dispatched", None, 2)
    assert (await claim(workspace, send, 1))[0] is False
    assert await claim(workspace, send, 2) == (True, None)


async def test_rule_4_the_owner_of_the_address_is_judged_too(workspace: Workspace) -> None:
    # One number on two channels is two contacts: a send to one of them by sms goes to the other one's address.
    await workspace.play_together(workspace.message(at=at(0)), workspace.message(channel="sms", at=at(0)))
    ana = await workspace.contact_id(channel="whatsapp", state="active")
    owner = await workspace.contact_id(channel="sms", state="active")
    assert ana != owner
    send: Json = {"channel": "sms", "to": {"contact_id": ana}}

    fine, refused = workspace.send(**send), workspace.send(**send)
    await workspace.play(fine, workspace.command("block_contact", contact_id=owner), refused)

    assert await standing(workspace, fine) == ("dispatched", None, 1)
    assert await standing(workspace, refused) == ("refused", "contact_blocked", 0)
    assert {row["contact_id"] for row in await workspace.rows("sends")} == {ana}
    assert await claim(workspace, fine) == (False, "contact_blocked")


async def test_rule_4_a_protected_owner_of_the_address_holds(workspace: Workspace) -> None:
    await protect(workspace)
    await workspace.play(workspace.message(channel="sms", at=at(0)))
    owner = await workspace.contact_id(channel="sms", state="active")
    send = workspace.send(channel="whatsapp", to={"contact_id": owner})
    await workspace.play(send)

    assert await standing(workspace, send) == ("held", None, 0)
    assert (await workspace.row("held_sends"))["contact_id"] == owner


# --- 4.3 dispatch


async def test_rule_4_3_everything_else_is_dispatched(workspace: Workspace) -> None:
    send = workspace.send("good news", at=at(1), source="broadcast", group_id="g-1")
    await workspace.play(workspace.message(at=at(0)), send)

    [output] = await workspace.outputs("sends.dispatch")
    assert output.value.keys() == DISPATCH
    assert output.value | {"content": output.value["content"]["text"]} == {
        "workspace_id": workspace.id,
        "send_id": send["send_id"],
        "attempt": 1,
        "channel_id": "whatsapp-main",
        "channel": "whatsapp",
        "contact_id": str(await workspace.contact_id()),
        "address": PHONE,
        "content": "good news",
        "source": "broadcast",
        "group_id": "g-1",
        "confirmation": None,
    }
    assert output.key == f"{workspace.id}:whatsapp-main".encode()
    assert output.head["ce_type"] == "sluice.sends.dispatch"
    [status] = await workspace.outputs("sends.status")
    assert status.key == f"{workspace.id}:{send['send_id']}".encode()
    assert (status.value["status"], status.value["attempt"]) == ("dispatched", 1)


async def test_rule_4_3_a_send_id_is_applied_once_and_the_first_request_stays(workspace: Workspace) -> None:
    send = workspace.send("first", at=at(1))
    await workspace.play(
        send, send, send | {"content": {"type": "text", "text": "second"}, "to": {"address": phone(1)}}
    )

    [fact] = await dispatched(workspace, send)
    assert (fact["content"]["text"], fact["address"]) == ("first", PHONE)
    assert await statuses(workspace, send) == ["dispatched"]
    assert len(await workspace.rows("contact_overview")) == 1


async def test_rule_4_3_a_repeated_dispatch_carries_the_same_ce_id(workspace: Workspace) -> None:
    send = workspace.send()
    await workspace.play(send)
    await pass_time(workspace, send, "recheck_at")  # a claim was denied for a reason that is gone

    async def told_twice() -> bool:
        return len(await workspace.outputs("sends.dispatch")) == 2

    await workspace.stage.until(told_twice, "the dispatch was not repeated")
    first, second = await workspace.outputs("sends.dispatch")
    assert (first.head["ce_id"], first.value) == (second.head["ce_id"], second.value)
    assert await claim(workspace, send) == (True, None)


async def test_rule_4_3_each_attempt_is_granted_once_or_told_why_not(workspace: Workspace) -> None:
    send = workspace.send()
    await workspace.play(send)

    assert await claim(workspace, send) == (True, None)
    assert await claim(workspace, send) == (False, "already_claimed")
    assert await claim(workspace, send, 2) == (False, "not_dispatched")
    assert await claim(workspace, workspace.send()) == (False, "unknown_send")


async def test_rule_4_3_a_claim_is_denied_for_what_changed_since(workspace: Workspace) -> None:
    await workspace.play_together(*(workspace.message(address=phone(n), at=at(0)) for n in range(2)))
    await workspace.play(workspace.event("run_started", "r-1", identity=whatsapp(phone(1)), at=at(1)))
    stopped = workspace.send(to={"address": phone(0)}, at=at(2))
    of_run = workspace.send(to={"address": phone(2)}, at=at(2), source="workflow", run_id="r-1", step_id="1")
    await workspace.play_together(stopped, of_run)
    await workspace.play_together(
        workspace.message("stop", address=phone(0), at=at(3)),
        workspace.command("block_contact", identity=whatsapp(phone(1)), at=at(3)),
    )

    assert await claim(workspace, stopped) == (False, "opted_out")
    assert await claim(workspace, of_run) == (False, "run_halted")
    await become(workspace, stopped, "refused")
    await become(workspace, of_run, "refused")


async def test_rule_4_3_a_claim_is_denied_once_the_run_was_told_its_end(workspace: Workspace) -> None:
    send = workspace.send(at=at(6), source="workflow", run_id="r-1", step_id="1")
    await workspace.play(
        workspace.message(at=at(0)),
        workspace.event("run_started", "r-1", at=at(5)),
        send,
        workspace.command("block_contact", identity=WHATSAPP, at=at(1)),
        workspace.command("unblock_contact", identity=WHATSAPP, at=at(3)),  # before the run began, as it turns out
    )

    assert await claim(workspace, send) == (False, "run_halted")
    await become(workspace, send, "refused")


# --- 4.5 channel states


async def test_rule_4_5_a_contacts_channels_are_active_inactive_or_unavailable(workspace: Workspace) -> None:
    await workspace.play_together(
        workspace.message(at=at(5), channel_id="wa-2"),
        workspace.message(at=at(6), channel_id="wa-1"),
        *(
            workspace.command("configure_channel", channel_id=f"{kind}-main", channel=kind)
            for kind in ("sms", "email", "messenger")
        ),
    )
    contact_id = await workspace.contact_id()
    shown = {row.pop("channel"): row for row in await workspace.rows("contact_channels")}

    common = {"workspace_id": workspace.id, "contact_id": contact_id, "opted_out": False}
    never = {"connected_at": None}
    assert shown == {
        "whatsapp": common | {"channel_id": "wa-2", "address": PHONE, "state": "active", "connected_at": at(5)},
        "sms": common | {"channel_id": "sms-main", "address": PHONE, "state": "inactive"} | never,
        "email": common | {"channel_id": "email-main", "address": None, "state": "unavailable"} | never,
        "messenger": common | {"channel_id": "messenger-main", "address": None, "state": "unavailable"} | never,
    }


async def test_rule_4_5_the_first_send_the_provider_accepts_connects_an_inactive_channel(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)))
    contact_id = await workspace.contact_id()
    send = workspace.send(channel="sms", to={"contact_id": contact_id}, at=at(1))
    await workspace.play(send)
    before = await workspace.row("contact_channels", channel="sms")
    await workspace.play(workspace.receipt(send, "sent", at=at(2)))
    after = await workspace.row("contact_channels", channel="sms")

    assert (before["contact_id"], before["state"], before["connected_at"]) == (contact_id, "inactive", None)
    assert after == before | {"state": "active", "connected_at": at(2)}


async def test_rule_4_5_a_send_to_an_unknown_number_or_address_makes_the_contact(workspace: Workspace) -> None:
    sends = [
        workspace.send(to={"address": "+49 151 12345678"}),
        workspace.send(to={"address": phone(1)}, channel="sms"),
        workspace.send(to={"address": "Eve@Example.org"}, channel="email"),
    ]
    await workspace.play_together(*sends)

    contacts = await workspace.rows("contact_overview")
    reached = {(row["phone"], row["email"], row["conversation_status"]) for row in contacts}
    assert reached == {
        (PHONE, None, "closed"),
        (phone(1), None, "closed"),
        (None, "eve@example.org", "closed"),
    }
    assert {row["address"] for row in await workspace.rows("contact_channels", state="inactive")} >= {
        PHONE,
        phone(1),
        "Eve@Example.org",
    }
    assert {row["contact_id"] for row in await workspace.rows("sends", status="dispatched")} == {
        row["contact_id"] for row in contacts
    }


async def test_rule_4_5_an_address_that_is_another_contacts_stays_theirs(workspace: Workspace) -> None:
    await workspace.play_together(workspace.message(at=at(0)), workspace.message(channel="sms", at=at(0)))
    ana = await workspace.contact_id(channel="whatsapp", state="active")
    owner = await workspace.contact_id(channel="sms", state="active")
    send = workspace.send(channel="sms", to={"contact_id": ana}, at=at(1))
    await workspace.play(send, workspace.receipt(send, "sent", at=at(2)))

    assert await workspace.contact_id(channel="sms", state="active") == owner
    assert await workspace.rows("contact_channels", contact_id=ana, channel="sms", state="active") == []

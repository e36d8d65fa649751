"""Contract section 4, rule 4: how holds are confirmed, rejected, expire and are cancelled. The first answer wins."""

import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from tests.acceptance.scenes import (
    at,
    become,
    by,
    dispatched,
    give,
    hold,
    join_company,
    moment,
    pass_time,
    phone,
    protect,
    standing,
    statuses,
    told,
    whatsapp,
)
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace


async def answer(workspace: Workspace, name: str, send: Json, **fields: Any) -> Json | str:
    """Bert confirms or rejects a send: what that changed, or why it was refused."""
    return await give(workspace, name, **({"send_id": send["send_id"]} | by("bert") | fields))


async def test_rule_4_4_a_confirmed_hold_is_released_and_dispatched(workspace: Workspace) -> None:
    send = await hold(workspace)
    assert await answer(workspace, "confirm_send", send, issued_at=at(30)) == {"released": 1}

    held, released, gone = await told(workspace, send)
    assert [fact["status"] for fact in (held, released, gone)] == ["held", "released", "dispatched"]
    assert [fact["actor"] for fact in (held, released, gone)] == [None, "bert", "bert"]
    [fact] = await dispatched(workspace, send)
    assert (fact["attempt"], fact["confirmation"]["confirmed_by"]) == (1, "bert")
    assert moment(fact["confirmation"]["confirmed_at"]) == at(30)
    assert await workspace.rows("held_sends") == []

    again = workspace.send()  # a confirmation covers its own send and no other
    await workspace.play(again)
    assert (await standing(workspace, again))[0] == "held"


async def test_rule_4_4_confirming_a_released_send_again_changes_nothing(workspace: Workspace) -> None:
    send = await hold(workspace)
    await answer(workspace, "confirm_send", send)

    assert await answer(workspace, "confirm_send", send, **by("carl")) == {}
    assert await statuses(workspace, send) == ["held", "released", "dispatched"]
    assert await answer(workspace, "reject_send", send) == "already_final"


async def test_rule_4_4_a_rejected_hold_never_goes(workspace: Workspace) -> None:
    send = await hold(workspace)
    assert await answer(workspace, "reject_send", send) == {"rejected": 1}

    assert await standing(workspace, send) == ("rejected", None, 0)
    assert await answer(workspace, "confirm_send", send) == "already_final"
    assert await answer(workspace, "reject_send", send) == "already_final"
    assert [(f["status"], f["actor"]) for f in await told(workspace, send)] == [("held", None), ("rejected", "bert")]
    assert await dispatched(workspace, send) == []


async def test_rule_4_4_of_a_confirmation_and_a_rejection_at_once_one_wins(workspace: Workspace) -> None:
    send = await hold(workspace)
    answers = [workspace.command(name, send_id=send["send_id"]) for name in ("confirm_send", "reject_send")]
    for number, command in enumerate(answers):  # keys of their own: two partitions, no order between them
        await workspace.stage.publish("contacts.commands", (f"{number}".encode(), msgspec.json.encode(command)))
    await workspace.stage.applied()

    results = [(await workspace.result(command))["outcome"] for command in answers]
    assert sorted(results) == ["done", "refused"]
    assert (await standing(workspace, send))[0] == ("dispatched" if results[0] == "done" else "rejected")


async def test_rule_4_4_nobody_answers_and_the_hold_expires(workspace: Workspace) -> None:
    await workspace.play(workspace.command("configure_workspace", set={"hold_ttl_hours": 2}))
    send = await hold(workspace)
    row = await workspace.row("held_sends")
    assert row["expires_at"] - row["held_at"] == timedelta(hours=2)

    await pass_time(workspace, send, "expires_at")
    assert await answer(workspace, "confirm_send", send) == "already_final"
    await become(workspace, send, "expired")
    assert await statuses(workspace, send) == ["held", "expired"]
    assert await workspace.rows("held_sends") == []


async def test_rule_4_4_confirming_judges_the_refusals_again(workspace: Workspace) -> None:
    send = await hold(workspace)
    await workspace.play(workspace.message("STOP", at=at(11)))

    assert await answer(workspace, "confirm_send", send) == {"refused": 1}
    assert await standing(workspace, send) == ("refused", "opted_out", 0)
    assert await statuses(workspace, send) == ["held", "refused"]


async def test_rule_4_4_each_new_reason_holds_once_more(workspace: Workspace) -> None:
    send = await hold(workspace)
    await join_company(workspace, "c-1")
    assert await answer(workspace, "confirm_send", send) == {"held": 1}
    assert (await workspace.row("held_sends"))["reasons"] == ["company_protected"]

    await join_company(workspace, "c-2", "c-1")
    assert await answer(workspace, "confirm_send", send) == {"held": 1}
    assert (await workspace.row("held_sends"))["reasons"] == ["company_protected"]

    await workspace.play(
        workspace.command("define_status", name="gold", protected=True),
        workspace.command("set_profile_status", profile_id="p-vip", status="gold"),
    )
    assert await answer(workspace, "confirm_send", send) == {"held": 1}
    assert (await workspace.row("held_sends"))["reasons"] == ["status_protected"]

    assert await answer(workspace, "confirm_send", send) == {"released": 1}
    assert await statuses(workspace, send) == ["held"] * 4 + ["released", "dispatched"]


async def test_rule_4_4_a_block_cancels_its_holds_for_good(workspace: Workspace) -> None:
    send = await hold(workspace)
    block = workspace.command("block_contact", identity=WHATSAPP, at=at(20))
    await workspace.play(block)

    assert (await workspace.result(block))["changed"]["holds_cancelled"] == 1
    assert await standing(workspace, send) == ("cancelled", "contact_blocked", 0)
    assert await statuses(workspace, send) == ["held", "cancelled"]
    await workspace.play(workspace.command("unblock_contact", identity=WHATSAPP, at=at(21)))
    assert await answer(workspace, "confirm_send", send) == "already_final"
    assert (await standing(workspace, send))[0] == "cancelled"


async def test_rule_4_4_a_block_that_is_over_cancels_what_was_requested_before_its_end(workspace: Workspace) -> None:
    early = await hold(workspace, at=at(10))
    late = workspace.send(at=at(14))
    await workspace.play(late)
    unblock = workspace.command("unblock_contact", identity=WHATSAPP, at=at(13))
    block = workspace.command("block_contact", identity=WHATSAPP, at=at(12))
    await workspace.play(unblock)
    await workspace.play(block)

    assert await standing(workspace, early) == ("cancelled", "contact_blocked", 0)
    assert await standing(workspace, late) == ("held", None, 0)
    assert (await workspace.result(block))["changed"]["holds_cancelled"] == 1


async def test_rule_4_4_lifting_a_protection_does_not_release_a_hold(workspace: Workspace) -> None:
    send = await hold(workspace)
    await workspace.play(workspace.command("define_status", name="vip", protected=False))

    row = await workspace.row("held_sends")
    assert (row["reasons"], row["releasable"]) == (["status_protected"], True)
    await workspace.play(workspace.command("detach_contact", identity=WHATSAPP))
    assert await standing(workspace, send) == ("held", None, 0)
    assert await answer(workspace, "confirm_send", send) == {"released": 1}


async def a_group(workspace: Workspace) -> dict[str, Json]:
    """A broadcast to somebody blocked, two protected people and somebody else."""
    await protect(workspace, PHONE, phone(1))
    await workspace.play(workspace.command("block_contact", identity=whatsapp(phone(2)), at=at(1)))
    people = {"vip": PHONE, "other vip": phone(1), "blocked": phone(2), "plain": phone(3)}
    sends = {
        name: workspace.send(at=at(10), source="broadcast", group_id="g-1", to={"address": address})
        for name, address in people.items()
    }
    await workspace.play_together(*sends.values())
    return sends


async def test_rule_4_4_a_group_is_split_by_recipient(workspace: Workspace) -> None:
    await a_group(workspace)

    assert sorted(map(sorted, (row.items() for row in await workspace.rows("send_groups")))) == sorted(
        sorted({"workspace_id": workspace.id, "group_id": "g-1", "status": status, "sends": sends}.items())
        for status, sends in (("refused", 1), ("held", 2), ("dispatched", 1))
    )


async def test_rule_4_4_a_group_is_confirmed_as_a_whole_for_what_is_held_at_that_moment(workspace: Workspace) -> None:
    sends = await a_group(workspace)
    later = workspace.send(at=at(20), source="broadcast", group_id="g-1")
    assert await give(workspace, "confirm_send", group_id="g-1", **by("bert")) == {"released": 2}
    await workspace.play(later)

    assert [(await standing(workspace, sends[name]))[0] for name in ("vip", "other vip")] == ["dispatched"] * 2
    assert (await standing(workspace, later))[0] == "held"


async def test_rule_4_4_a_group_is_rejected_as_a_whole(workspace: Workspace) -> None:
    sends = await a_group(workspace)
    assert await answer(workspace, "confirm_send", sends["vip"]) == {"released": 1}

    assert await give(workspace, "reject_send", group_id="g-1", **by("bert")) == {"rejected": 1}
    assert {row["status"]: row["sends"] for row in await workspace.rows("send_groups")} == {
        "refused": 1,
        "dispatched": 2,
        "rejected": 1,
    }


async def test_rule_4_4_what_a_group_came_to_is_counted(workspace: Workspace) -> None:
    await a_group(workspace)
    await workspace.play_together(
        workspace.message("STOP", at=at(11)),
        workspace.command("create_profile", profile_id="p-2", name="Two"),
        workspace.command("define_company", company_id="c-1", name="One"),
    )
    await workspace.play_together(
        workspace.command("protect_company", company_id="c-1"),
        workspace.command("set_profile_companies", profile_id="p-2", company_ids=["c-1"]),
        workspace.command("attach_contact", profile_id="p-2", identity=whatsapp(phone(1))),
    )

    assert await give(workspace, "confirm_send", group_id="g-1", **by("bert")) == {"refused": 1, "held": 1}


async def test_rule_4_4_with_two_person_confirm_ones_own_requests_stay_held(workspace: Workspace) -> None:
    await workspace.play(workspace.command("configure_workspace", set={"two_person_confirm": True}))
    own = await hold(workspace, group_id="g-1")
    other = workspace.send(at=at(10), group_id="g-1", requested_by={"id": "carl", "role": "agent"})
    await workspace.play(other)

    assert await answer(workspace, "confirm_send", own, **by("anna")) == "needs_second_person"
    assert await give(workspace, "confirm_send", group_id="g-1", **by("anna")) == {"released": 1, "held": 1}
    assert [(await standing(workspace, send))[0] for send in (own, other)] == ["held", "dispatched"]
    assert await answer(workspace, "reject_send", own, **by("anna")) == {"rejected": 1}


async def test_rule_4_4_who_asks_for_a_send_nobody_knows_is_told_so(workspace: Workspace) -> None:
    unknown = workspace.send()
    assert await answer(workspace, "confirm_send", unknown) == "not_found"
    assert await give(workspace, "reject_send", group_id="g-0") == "not_found"


async def test_rule_4_4_a_hold_that_was_refused_or_dispatched_at_once_is_no_hold(workspace: Workspace) -> None:
    refused, plain = workspace.send(to={"contact_id": str(uuid4())}), workspace.send()
    await workspace.play_together(refused, plain)

    assert await answer(workspace, "confirm_send", refused) == "already_final"
    assert await answer(workspace, "confirm_send", plain) == {}
    assert await answer(workspace, "reject_send", plain) == "already_final"
    assert await workspace.rows("sends", send_id=UUID(plain["send_id"]), status="dispatched") != []


async def test_rule_10_7_every_confirmation_stays_as_evidence(workspace: Workspace) -> None:
    send = await hold(workspace, content={"type": "text", "text": "Grüße 🙂"})
    await join_company(workspace, "c-1")
    for number in (30, 31, 32):  # the first one finds a reason that nobody was shown, the last one changes nothing
        await answer(workspace, "confirm_send", send, issued_at=at(number))
    answered = workspace.send(at=at(40), confirmation={"confirmed_by": "anna", "confirmed_at": at(35)})
    await workspace.play_together(answered, rejected := workspace.send(at=at(10)))
    await answer(workspace, "reject_send", rejected)

    [fact] = await dispatched(workspace, send)
    text = json.dumps(fact["content"], ensure_ascii=False, separators=(",", ":"))
    rows = sorted(await workspace.rows("send_confirmations"), key=lambda row: row["confirmed_at"])
    assert [(r["confirmed_by"], r["role"], r["confirmed_at"], r["reasons"], r["outcome"]) for r in rows] == [
        ("bert", "agent", at(30), ["status_protected"], "held"),
        ("bert", "agent", at(31), ["company_protected"], "released"),
        ("anna", "agent", at(35), ["status_protected"], "held"),  # the company came later
    ]
    assert {r["content_sha256"] for r in rows[:2]} == {hashlib.sha256(text.encode()).hexdigest()}
    assert [str(r["send_id"]) for r in rows] == [send["send_id"], send["send_id"], answered["send_id"]]

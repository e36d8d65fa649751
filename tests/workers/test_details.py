"""Why a command was refused, in words for people: which field, which shape came, which one fits; never content."""

from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, details, give, rows
from tests.workers.records import WORKSPACE, at, record, uuid_of
from workers.records import Record

ANA = "+4915112345678"
MARKER = "marker-of-content"


def wrong(command: str, **fields: Any) -> Record[Any]:
    """A command as `ask` makes it, that need not fit."""
    head = {"command_id": uuid_of(f"wrong {command} {sorted(fields.items())}"), "workspace_id": WORKSPACE}
    actor = {"id": "olga", "role": "owner", "module": "api"}
    return record(
        "contacts.commands", head | {"command": command, "actor": actor, "issued_at": at(0)} | fields, timestamp=at(0)
    )


REFUSED: dict[str, tuple[Record[Any], str, str]] = {
    "a text that is too long": (
        wrong("update_contact", identity=by_phone(ANA), set={"first_name": MARKER * 50}),
        "invalid",
        "first_name",
    ),
    "a kind nobody knows": (wrong("configure_channel", channel_id="x", channel=MARKER), "invalid", "channel"),
    "no target": (wrong("block_contact"), "invalid", "contact_id"),
    "another kind of a channel": (
        ask("configure_channel", channel_id="wa-main", channel="sms"),
        "invalid",
        "`channel`",
    ),
    "a profile without a name": (ask("create_profile", name=" "), "invalid", "`name`"),
    "an id that is taken": (ask("create_profile", name="Ada", profile_id="p-1"), "invalid", "`profile_id`"),
    "a name that two have": (
        ask("attach_contact", identity=by_phone(ANA), profile_name="Twin"),
        "invalid",
        "2 profiles",
    ),
    "an unknown address": (ask("unblock_contact", identity=by_phone("+4915100000000")), "not_found", "`identity`"),
    "an unknown contact": (ask("block_contact", contact_id=uuid_of("nobody")), "not_found", "`contact_id`"),
    "an unknown profile": (ask("set_profile_status", profile_id=MARKER, status="vip"), "not_found", "`profile_id`"),
    "an unknown status": (ask("set_profile_status", profile_id="p-1", status=MARKER), "not_found", "`status`"),
    "unknown companies": (
        ask("set_profile_companies", profile_id="p-1", company_ids=["c-1", MARKER]),
        "not_found",
        "1 of 2",
    ),
    "an unknown company": (ask("protect_company", company_id=MARKER), "not_found", "`company_id`"),
    "an unknown send": (ask("confirm_send", send_id=uuid_of("nothing")), "not_found", "`send_id`"),
    "an unknown group": (ask("reject_send", group_id=MARKER), "not_found", "`group_id`"),
    "a role": (
        ask("define_status", role="agent", name="vip", protected=True),
        "not_permitted",
        "`agent` may not give `define_status`; `manager` or `owner` may",
    ),
    "a module": (
        ask("block_contact", role="agent", module="contacts", identity=by_phone(ANA)),
        "not_permitted",
        "from `inbox`, not from `contacts`",
    ),
    "a restriction": (
        ask("define_status", role="manager", restrictions=["settings"], name="vip", protected=True),
        "not_permitted",
        "`settings` forbids",
    ),
    "a field nobody defined": (
        ask("update_contact", identity=by_phone(ANA), set={"custom.size": MARKER}),
        "invalid",
        "`set.custom.size`: no such field",
    ),
    "a value of another shape": (
        ask("update_contact", identity=by_phone(ANA), set={"custom.age": MARKER}),
        "invalid",
        "9,007,199,254,740,991, or null; got a text of 17 characters",
    ),
    "a profile's field nobody defined": (
        ask("create_profile", name="New", fields={"age": MARKER}),
        "invalid",
        "`fields.age`: no such field is defined for profiles",
    ),
    "a profile's value of another shape": (
        ask("update_profile", profile_id="p-1", set={"name": "New", "custom.rank": MARKER}),
        "invalid",
        "`set.custom.rank`: expected a number",
    ),
    "a number nobody can dial": (
        ask("update_contact", identity=by_phone(ANA), set={"phone": MARKER}),
        "invalid",
        "`set.phone`: expected a possible telephone number",
    ),
    "a tag nobody can see": (ask("add_tag", identity=by_phone(ANA), tag=" "), "invalid", "`tag`"),
    "an address that is none": (ask("create_contact", identity=by_phone(MARKER)), "invalid", "`identity.address`"),
    "another type": (ask("define_field", scope="contact", name="age", type="text"), "invalid", "it is `number`"),
    "a block": (
        ask("release_dropped", identity=by_phone(ANA), message_ids=[uuid_of("m")]),
        "contact_blocked",
        "unblock_contact",
    ),
}


async def prepare(pool: Pool) -> None:
    await give(
        pool,
        ask("configure_channel", channel_id="wa-main", channel="whatsapp"),
        ask("block_contact", identity=by_phone(ANA)),
        ask("create_profile", name="Ada", profile_id="p-1"),
        *(ask("create_profile", name="Twin") for _ in range(2)),
        ask("define_company", company_id="c-1", name="Acme"),
        ask("define_field", scope="contact", name="age", type="number"),
        ask("define_field", scope="profile", name="rank", type="number"),
    )


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_says_what_is_wrong_and_shows_no_content(pool: Pool, case: str) -> None:
    command, reason, said = REFUSED[case]
    await prepare(pool)

    outputs = await give(pool, command)

    [detail] = details(outputs)
    [answer] = [msgspec.json.decode(o.event.value or b"") for o in outputs]
    assert (answer["outcome"], answer["reason"]) == ("refused", reason)
    assert detail is not None
    assert said in detail
    assert not any(secret in detail for secret in (MARKER, ANA, "4915100000000"))
    audited = "SELECT reason, detail FROM sluice.audit_log WHERE outcome = 'refused'"
    assert await rows(pool, audited) == [(reason, detail)]


async def test_eleven_mistakes_get_eleven_answers(pool: Pool) -> None:
    await prepare(pool)
    outputs = await give(pool, *(command for command, reason, _ in REFUSED.values() if reason == "invalid"))

    said = details(outputs)
    assert len(set(said)) == len(said) > 5


async def test_a_repeated_refusal_carries_the_same_bytes_detail_included(pool: Pool) -> None:
    await prepare(pool)
    commands = [command for command, _, _ in REFUSED.values()]

    first, later = await give(pool, *commands), await give(pool, *commands, now=at(60))

    assert [(o.event.ce_id, o.event.value) for o in first] == [(o.event.ce_id, o.event.value) for o in later]


async def test_what_is_done_has_no_detail(pool: Pool) -> None:
    assert details(await give(pool, ask("define_status", name="vip", protected=True))) == [None]
    assert await rows(pool, "SELECT outcome, detail FROM sluice.audit_log") == [("done", None)]

"""Fields, custom fields and tags of contacts, by command."""

import asyncio
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from schemas import limits
from tests.workers.asking import ask, by_phone, contact_of, details, give, results, rows
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, message, uuid_of
from workers.contacts.changes_topic import CONTACTS
from workers.records import Record
from workers.store import contacts

ANA = "+4915112345678"
BEN = "+4915187654321"
WHO: dict[str, Any] = {"identity": by_phone(ANA)}


def update(minutes: float = 0, /, **values: Any) -> Record[Any]:
    return ask("update_contact", minutes=minutes, **WHO, set=values)


def field(name: str, kind: str, **others: Any) -> Record[Any]:
    return ask("define_field", scope="contact", name=name, type=kind, **others)


async def shown(pool: Pool, *columns: str) -> list[Any]:
    [row] = await rows(pool, f"SELECT {', '.join(columns)} FROM sluice.contact_overview")  # noqa: S608 - names of columns
    return list(row)


async def published(pool: Pool) -> list[dict[str, Any]]:
    """What contacts.changes has next."""
    async with pool.acquire() as tx, tx.transaction():
        current = await CONTACTS.load(tx, 100)
        await CONTACTS.clear(tx, current)
    return [msgspec.json.decode(c.event.value or b"null") for c in current]


# --- fields


async def test_what_a_person_writes_is_shown_in_place_of_what_the_channel_says(pool: Pool) -> None:
    await ingest(pool, message(minutes=0, name="ana", language="de"))
    changed = await results(
        pool, update(1, first_name="Anna", last_name="Ray", phone="+44 7911 123456", email="A@x.org")
    )
    await ingest(pool, message(minutes=2, name="ana 2", language="en"))

    assert changed == [{"fields": ["first_name", "last_name", "phone", "email"]}]
    assert await shown(pool, "display_name", "first_name", "last_name", "language", "phone", "email", "country") == [
        *("ana 2", "Anna", "Ray", "en", "+447911123456", "a@x.org", "DE")
    ]


async def test_null_gives_a_field_back_to_what_the_channel_said_last(pool: Pool) -> None:
    await ingest(pool, message(minutes=0, name="ana"))
    await give(pool, update(1, first_name="Anna", phone="+447911123456"))
    await ingest(pool, message(minutes=2, name="ana 2"))

    assert await results(pool, update(3, first_name=None, phone=None)) == [{"fields": ["first_name", "phone"]}]
    assert await shown(pool, "first_name", "phone") == ["ana 2", ANA]
    assert await results(pool, update(4, first_name=None)) == [{}]


async def test_of_two_writes_the_later_stays_whichever_arrives_first(pool: Pool) -> None:
    await ingest(pool, message())
    later = [update(5, first_name="Late", assignee="u-1"), ask("assign_conversation", minutes=6, **WHO, assignee="u-2")]
    older = [
        update(4, first_name="Early", last_name="Ray"),
        ask("assign_conversation", minutes=3, **WHO, assignee=None),
    ]

    assert await results(pool, *later) == [{"fields": ["first_name", "assignee"]}, {"fields": ["assignee"]}]
    assert await results(pool, *older) == [{"fields": ["last_name"]}, {}]
    assert await shown(pool, "first_name", "last_name", "assignee") == ["Late", "Ray", "u-2"]


async def test_one_value_that_does_not_fit_refuses_the_whole_command(pool: Pool) -> None:
    await ingest(pool, message())

    assert await results(pool, update(first_name="Anna", country="Germany")) == ["invalid"]
    assert await shown(pool, "first_name", "country") == [None, "DE"]


async def test_a_number_in_national_form_is_of_the_workspace(pool: Pool) -> None:
    await ingest(pool, message())
    await give(pool, ask("configure_workspace", set={"default_region": "GB"}))
    await give(pool, update(phone="07911 123456"))

    assert await shown(pool, "phone") == ["+447911123456"]
    on_file = "SELECT address FROM sluice.contact_channels WHERE channel = 'sms'"
    await give(pool, ask("configure_channel", channel_id="sms-main", channel="sms"))
    assert await rows(pool, on_file) == [("+447911123456",)]


async def test_the_log_and_the_result_have_no_value(pool: Pool) -> None:
    await ingest(pool, message())
    outputs = await give(pool, update(last_name="Secretary", phone="+447911123456"))

    assert b"Secretary" not in (outputs[0].event.value or b"")
    stored = "SELECT row_to_json(c)::text FROM sluice_core.commands c"
    assert not any("Secretary" in text or "7911" in text for (text,) in await rows(pool, stored))


async def test_a_blocked_contact_can_be_edited_tagged_and_assigned(pool: Pool) -> None:
    await give(pool, ask("block_contact", **WHO))
    asked = [
        update(1, first_name="Anna"),
        ask("add_tag", **WHO, tag="spam"),
        ask("assign_conversation", **WHO, assignee="u"),
    ]

    assert await results(pool, *asked) == [{"fields": ["first_name"]}, {"tag": "spam"}, {"fields": ["assignee"]}]


async def test_nobody_and_a_stranger_are_not_found(pool: Pool) -> None:
    asked = [
        update(first_name="Anna"),
        ask("add_tag", **WHO, tag="vip"),
        ask("remove_tag", contact_id=uuid_of("x"), tag="vip"),
        ask("assign_conversation", **WHO, assignee=None),
    ]
    assert await results(pool, *asked) == ["not_found"] * 4
    assert await rows(pool, "SELECT tag FROM sluice.tags") == []


# --- custom fields


async def test_custom_fields_hold_values_of_their_type(pool: Pool) -> None:
    await ingest(pool, message())
    defined = [field("size", "list", options=["S", "L"]), field("age", "number"), field("vip", "checkbox")]
    assert await results(pool, *defined, update(**{"custom.size": "L", "custom.age": 42.0, "custom.vip": True})) == [
        {"scope": "contact", "name": "size", "type": "list"},
        {"scope": "contact", "name": "age", "type": "number"},
        {"scope": "contact", "name": "vip", "type": "checkbox"},
        {"fields": ["custom.size", "custom.age", "custom.vip"]},
    ]
    [custom] = await shown(pool, "custom")
    assert msgspec.json.decode(custom) == {"size": "L", "age": 42, "vip": True}
    assert await rows(pool, "SELECT scope, name, type, options FROM sluice.field_definitions ORDER BY name") == [
        ("contact", "age", "number", None),
        ("contact", "size", "list", ["S", "L"]),
        ("contact", "vip", "checkbox", None),
    ]


async def test_a_field_is_of_its_scope_and_workspace(pool: Pool) -> None:
    await ingest(pool, message())
    await give(
        pool,
        ask("define_field", scope="profile", name="tier", type="text"),
        ask("define_field", workspace_id="other", scope="contact", name="size", type="text"),
    )
    assert await results(pool, update(**{"custom.tier": "gold"}), update(**{"custom.size": "L"})) == ["invalid"] * 2


async def test_options_change_and_values_stay(pool: Pool) -> None:
    await ingest(pool, message())
    await give(pool, field("size", "list", options=["S", "L"]), update(**{"custom.size": "L"}))

    assert await results(pool, field("size", "list", minutes=1, options=["S"])) == [{"options": ["S"]}]
    assert await results(pool, field("size", "list", minutes=-1, options=["XL"])) == [{}]
    assert await results(pool, update(2, **{"custom.size": "L"})) == ["invalid"]
    assert await shown(pool, "custom") == ['{"size": "L"}']


async def test_a_workspace_has_a_bounded_number_of_fields(pool: Pool) -> None:
    made = await results(pool, *(field(f"f{n}", "text") for n in range(limits.FIELDS_PER_SCOPE + 1)))

    assert made[-1] == "invalid"
    assert "invalid" not in made[:-1]
    assert await results(pool, field("more", "text"), field("f1", "text")) == ["invalid", {}]


# --- tags


async def test_a_tag_is_made_given_and_taken(pool: Pool) -> None:
    await ingest(pool, message())
    add, remove = ask("add_tag", **WHO, tag=" vip "), ask("remove_tag", minutes=2, **WHO, tag="vip")

    assert await results(pool, add, ask("add_tag", minutes=1, **WHO, tag="vip")) == [{"tag": "vip"}, {}]
    assert await shown(pool, "tags") == [["vip"]]
    assert await results(pool, remove, ask("remove_tag", minutes=3, **WHO, tag="vip")) == [{"tag": "vip"}, {}]
    assert await results(pool, ask("add_tag", minutes=1, **WHO, tag="vip")) == [{}]
    assert await shown(pool, "tags") == [[]]
    assert await rows(pool, "SELECT workspace_id, tag FROM sluice.tags") == [(WORKSPACE, "vip")]


async def test_removing_a_tag_that_nobody_gave_makes_none_but_beats_an_older_command(pool: Pool) -> None:
    await ingest(pool, message())

    assert await results(pool, ask("remove_tag", minutes=2, **WHO, tag="vip")) == [{}]
    assert await rows(pool, "SELECT tag FROM sluice.tags") == []
    assert await results(pool, ask("add_tag", minutes=1, **WHO, tag="vip")) == [{}]
    assert await shown(pool, "tags") == [[]]


async def test_a_contact_and_a_workspace_have_a_bounded_number_of_tags(pool: Pool) -> None:
    await ingest(pool, message(), message(BEN))
    most = limits.TAGS_PER_CONTACT
    given = await results(pool, *(ask("add_tag", **WHO, tag=f"t{n}") for n in range(most + 1)))
    assert given[-1] == "invalid"
    assert "invalid" not in given[:-1]

    await rows(pool, "INSERT INTO sluice_core.tags SELECT $1, 'x' || n FROM generate_series(1, 9800) n", WORKSPACE)
    other: dict[str, Any] = {"identity": by_phone(BEN)}
    outputs = await give(pool, ask("add_tag", **other, tag="new"), ask("add_tag", **other, tag="t1"))
    assert details(outputs) == ["`tag`: a workspace has at most 10,000 tags", None]


# --- create and export


async def test_a_contact_is_created_once_closed_and_not_connected(pool: Pool) -> None:
    await give(pool, field("size", "text"))
    make = ask("create_contact", **WHO, set={"first_name": "Ana", "custom.size": "L"}, tags=["vip", "new", "vip"])
    again = ask("create_contact", minutes=1, **WHO, set={"first_name": "Other"}, tags=["old"])

    [made, known] = await results(pool, make, again)
    id_ = str(await contact_of(pool, ANA))
    assert (made, known) == ({"contact_id": id_, "created": True}, {"contact_id": id_, "created": False})
    assert await shown(pool, "first_name", "phone", "country", "tags", "conversation_status", "custom") == [
        *("Ana", ANA, "DE", ["new", "vip"], "closed", '{"size": "L"}')
    ]
    channels = "SELECT channel, address, state, connected_at FROM sluice.contact_channels"
    assert await rows(pool, channels) == [("whatsapp", ANA, "inactive", None)]
    assert await rows(pool, "SELECT DISTINCT target FROM sluice.audit_log WHERE command = 'create_contact'") == [
        (f'{{"contact_id":"{id_}"}}',)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"set": {"phone": "x"}},
        {"set": {"custom.size": 1}},
        {"tags": [" "]},
        {"tags": [str(n) for n in range(201)]},
        {"identity": by_phone("FLOWERS")},
        {"identity": by_phone("0151 12345678", "sms")},
    ],
)
async def test_a_creation_that_does_not_fit_makes_nobody(pool: Pool, wrong: dict[str, Any]) -> None:
    assert await results(pool, ask("create_contact", **{**WHO, **wrong})) == ["invalid"]
    assert await rows(pool, "SELECT FROM sluice.contact_overview") == []
    assert await rows(pool, "SELECT FROM sluice_core.identities") == []


async def test_a_message_to_a_created_contact_opens_and_connects_it(pool: Pool) -> None:
    await give(pool, ask("create_contact", **WHO))
    await ingest(pool, message(minutes=1))

    assert await shown(pool, "conversation_status") == ["open"]
    assert await rows(pool, "SELECT state FROM sluice.contact_channels") == [("active",)]


async def test_only_the_first_of_two_creations_at_once_makes_the_contact(pool: Pool) -> None:
    asked = [ask("create_contact", **WHO, set={"first_name": str(n)}) for n in range(4)]
    done = [result for [result] in await asyncio.gather(*(results(pool, a) for a in asked))]

    assert sorted(result["created"] for result in done) == [False, False, False, True]
    assert len({result["contact_id"] for result in done}) == 1


async def test_an_export_is_audited_and_nothing_else(pool: Pool) -> None:
    bound = ask("export_contacts", role="manager", restrictions=["data_export"])

    assert await results(pool, ask("export_contacts", filter={"tag": "vip"}), ask("export_contacts"), bound) == [
        *({}, {}, "not_permitted")
    ]
    audited = "SELECT command, outcome, target FROM sluice.audit_log ORDER BY outcome"
    assert await rows(pool, audited) == [
        ("export_contacts", "done", None),
        ("export_contacts", "done", None),
        ("export_contacts", "refused", None),
    ]


# --- what comes out


async def test_contacts_changes_has_fields_tags_and_assignee_and_rises_with_each_change(pool: Pool) -> None:
    await give(pool, ask("create_contact", **WHO))
    [first] = await published(pool)
    await give(pool, field("size", "text"), update(1, first_name="Ana", **{"custom.size": "L"}))
    await give(pool, ask("add_tag", minutes=2, **WHO, tag="vip"), ask("assign_conversation", **WHO, assignee="u-7"))
    [then] = await published(pool)

    assert (then["first_name"], then["fields"], then["tags"], then["assignee"]) == (
        "Ana",
        {"size": "L"},
        ["vip"],
        "u-7",
    )
    assert then["revision"] > first["revision"]
    await give(pool, update(-9, first_name="Older"), ask("add_tag", minutes=3, **WHO, tag="vip"))
    assert await published(pool) == []


async def test_a_repeated_command_changes_nothing(pool: Pool) -> None:
    await ingest(pool, message())
    asked = [update(1, first_name="Ana"), ask("add_tag", **WHO, tag="vip"), ask("create_contact", **WHO)]
    first = await give(pool, *asked)
    await give(pool, update(2, first_name="Anna"), ask("remove_tag", minutes=2, **WHO, tag="vip"))
    again = await give(pool, *asked, now=at(60))

    assert [o.event.value for o in again] == [o.event.value for o in first]
    assert await shown(pool, "first_name", "tags") == ["Anna", []]


async def test_changes_of_one_contact_at_once_lose_nothing(pool: Pool) -> None:
    await ingest(pool, message())
    asked = [ask("add_tag", **WHO, tag=f"t{n}") for n in range(8)]
    asked += [update(n, first_name=f"n{n}", **({"last_name": "Ray"} if n == 3 else {})) for n in range(8)]
    await asyncio.gather(*(give(pool, a) for a in asked))

    assert await shown(pool, "first_name", "last_name", "cardinality(tags)") == ["n7", "Ray", 8]
    [key] = await rows(pool, "SELECT workspace_id, contact_id FROM sluice.contact_overview")
    async with pool.acquire() as tx:
        assert len(await contacts.revisions(tx, [(key[0], key[1])])) == 1

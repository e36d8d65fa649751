"""Senders: rule 3.4 on contacts and addresses, rule 3.7 on opt-outs, and the block history."""

from itertools import permutations

import pytest

from tests.acceptance.stage import PHONE, WHATSAPP, Workspace, at, identity


async def test_rule_3_4_an_unknown_identity_makes_a_contact(workspace: Workspace) -> None:
    await workspace.play(
        workspace.message(at=at(0), sender={"address": PHONE, "name": "Ana", "language": "de", "avatar_url": "a.png"}),
        workspace.message(at=at(0), channel="email", sender={"address": "Bo@Example.org", "name": "Bo"}),
    )

    contacts = {row["display_name"]: row for row in await workspace.rows("contact_overview")}
    ana = contacts["Ana"]
    assert (ana["first_name"], ana["phone"], ana["country"], ana["email"]) == ("Ana", PHONE, "DE", None)
    assert (ana["language"], ana["avatar_url"]) == ("de", "a.png")
    assert (contacts["Bo"]["email"], contacts["Bo"]["phone"]) == ("bo@example.org", None)
    assert len({row["contact_id"] for row in contacts.values()}) == 2


async def test_rule_3_4_names_are_the_latest_by_event_time(workspace: Workspace) -> None:
    for minutes, name in ((10, "New"), (5, "Old")):
        await workspace.play(workspace.message(at=at(minutes), sender={"address": PHONE, "name": name}))

    contact = await workspace.row("contact_overview")
    assert (contact["display_name"], contact["first_name"]) == ("New", "New")


async def test_rule_3_4_numbers_are_normalised_with_the_region_of_the_channel_or_workspace(
    workspace: Workspace,
) -> None:
    regions = [
        workspace.command("configure_workspace", set={"default_region": "GB"}),
        workspace.command("configure_channel", channel_id="sms-de", channel="sms", default_region="DE"),
        workspace.command("configure_channel", channel_id="wa-de", channel="whatsapp", default_region="DE"),
        workspace.command("configure_channel", channel_id="sms-us", channel="sms", default_region="US"),
    ]
    await workspace.play(*regions)
    understood = {
        ("sms", "sms-main", "07911 123456"): "+447911123456",
        ("sms", "sms-de", "0151 12345678"): "+4915112345678",
        ("sms", "sms-us", "(202) 555-0123"): "+12025550123",
        ("sms", "sms-us", "447911123457"): "+447911123457",  # no national number: international
        ("sms", "sms-us", "0044 7911 123458"): "+447911123458",
        ("whatsapp", "wa-de", "4915112345678"): "+4915112345678",
        ("whatsapp", "wa-de", "447911123459"): "+447911123459",  # bare digits are international
        ("whatsapp", "wa-de", "0151 23456789"): "+4915123456789",  # but for a single 0
        ("whatsapp", "wa-de", "whatsapp:+49 151 34567890"): "+4915134567890",
    }
    await workspace.play_together(
        *(
            workspace.message(at=at(0), channel=channel, channel_id=channel_id, address=address)
            for channel, channel_id, address in understood
        )
    )

    for (channel, channel_id, _), number in understood.items():
        row = await workspace.row(
            "contact_channels", channel=channel, channel_id=channel_id, address=number, state="active"
        )
        contact = await workspace.row("contact_overview", contact_id=row["contact_id"])
        assert contact["phone"] == number


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("sms", "07911 123456"),  # neither a region nor + or 00
        ("sms", "INFO-BANK"),
        ("sms", "1-800-FLOWERS"),
        ("sms", "12345"),
        ("sms", "+49 30 1234567 ext. 12"),
        ("whatsapp", "0151 12345678"),
        ("email", "nobody at all"),
    ],
)
async def test_rule_3_4_what_cannot_be_understood_is_kept_verbatim_and_never_lost(
    workspace: Workspace, channel: str, address: str
) -> None:
    await workspace.play(workspace.message(at=at(0), channel=channel, address=address))

    contact = await workspace.row("contact_overview")
    row = await workspace.row("contact_channels", contact_id=contact["contact_id"])
    assert (row["address"], row["state"]) == (address, "active")
    assert (contact["phone"], contact["email"]) == (None, None)
    assert len(await workspace.rows("conversation_messages")) == 1


async def test_rule_3_4_spellings_of_one_address_are_one_contact(workspace: Workspace) -> None:
    spellings = {
        "whatsapp": (PHONE, "4915112345678", "+49 151 12345678", "0049-151-12345678"),
        "email": ("Eve@Example.ORG", "eve@example.org", " eve@example.org "),
        "telegram": ("77",),
    }
    for channel, addresses in spellings.items():
        await workspace.play_together(
            *(workspace.message(at=at(n), channel=channel, address=a) for n, a in enumerate(addresses))
        )
    await workspace.play(workspace.message(at=at(9), channel="telegram", channel_id="telegram-two", address="77"))

    contacts = [row["contact_id"] for row in await workspace.rows("conversation_messages", channel="whatsapp")]
    assert (len(contacts), len(set(contacts))) == (4, 1)
    assert len(await workspace.rows("contact_overview")) == 3


async def test_rule_3_4_an_id_that_means_something_only_on_its_channel_is_a_contact_per_channel(
    workspace: Workspace,
) -> None:
    await workspace.play_together(
        *(
            workspace.message(at=at(0), channel=channel, channel_id=f"{channel}-{page}", address="777")
            for channel in ("messenger", "instagram", "line", "viber", "webchat", "custom")
            for page in ("a", "b")
        )
    )
    assert len(await workspace.rows("contact_overview")) == 12


@pytest.mark.parametrize(
    "word", ["STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT", "ARRET"]
)
async def test_rule_3_7_an_opt_out_word_opts_the_identity_out(workspace: Workspace, word: str) -> None:
    await workspace.play(workspace.message(f" \t{word.title()}! ", at=at(0)))
    assert (await workspace.row("contact_channels"))["opted_out"]


async def test_rule_3_7_only_the_whole_text_of_a_message_on_sms_or_whatsapp_opts_out(workspace: Workspace) -> None:
    texts = ("STOP it", "please stop", "STOP 1", "Stop. Thank you", "")
    await workspace.play_together(
        *(workspace.message(text, at=at(0), address=f"+491511000000{n}") for n, text in enumerate(texts)),
        workspace.message("STOP", at=at(0), address="+4915110000010", kind="reaction"),
        workspace.message("STOP", at=at(0), address="+4915110000011", kind="echo"),
        *(
            workspace.message("STOP", at=at(0), channel=channel, address="stop@example.org")
            for channel in ("email", "telegram", "messenger")
        ),
        workspace.message("stop.", at=at(0), channel="sms", address="+4915110000012"),
    )

    out = await workspace.rows("contact_channels", opted_out=True)
    assert [(row["channel"], row["address"]) for row in out] == [("sms", "+4915110000012")]
    assert len(await workspace.rows("conversation_messages")) == 11


async def test_rule_3_7_a_dropped_message_still_opts_out_and_start_never_lifts_a_block(workspace: Workspace) -> None:
    block = workspace.command("block_contact", identity=WHATSAPP, at=at(10))
    await workspace.play(block, workspace.message("STOP", at=at(20)))
    assert (await workspace.row("contact_channels"))["opted_out"]
    assert len(await workspace.rows("drop_ledger")) == 1

    for number, word in enumerate(("START", "STOP", "unstop.")):
        await workspace.play(workspace.message(word, at=at(30 + number)))
    assert not (await workspace.row("contact_channels"))["opted_out"]
    assert (await workspace.row("contact_overview"))["blocked"]
    assert await workspace.rows("conversation_messages") == []


async def test_rule_3_7_the_latest_word_by_event_time_holds(workspace: Workspace) -> None:
    await workspace.play(workspace.message("START", at=at(20)), workspace.message("STOP", at=at(10)))
    assert not (await workspace.row("contact_channels"))["opted_out"]


async def test_block_history_is_a_function_of_the_set_of_commands(workspace: Workspace) -> None:
    # Blocked from 10 to 20 and, as the unblock comes first at equal times, from 20 on: the block of 15 changes nothing.
    for number, order in enumerate([*permutations(range(4))][::7]):
        one = Workspace(workspace.stage, f"{workspace.id}-{number}")
        commands = [
            one.command("block_contact", identity=WHATSAPP, at=at(10)),
            one.command("block_contact", identity=WHATSAPP, at=at(15)),
            one.command("unblock_contact", identity=WHATSAPP, at=at(20)),
            one.command("block_contact", identity=WHATSAPP, at=at(20)),
        ]
        await one.play(one.message("before", at=at(9)), *(commands[n] for n in order))
        await one.play_together(*(one.message(at=at(minutes)) for minutes in (10, 19, 20, 21)))

        assert (await one.row("blocked_contacts"))["blocked_at"] == at(20)
        assert len(await one.rows("conversation_messages")) == 1
        assert len(await one.rows("drop_ledger")) == 4


async def test_block_history_keeps_what_changed_nothing_until_an_older_command_arrives(workspace: Workspace) -> None:
    first = workspace.command("block_contact", identity=WHATSAPP, at=at(10))
    second = workspace.command("block_contact", identity=WHATSAPP, at=at(30))
    await workspace.play(workspace.message("hello", at=at(0)), first, second)
    assert await workspace.result(second) | {"command_id": ""} == {
        "workspace_id": workspace.id,
        "command_id": "",
        "command": "block_contact",
        "outcome": "done",
        "reason": None,
        "detail": None,
        "changed": {},
    }

    await workspace.play(workspace.command("unblock_contact", identity=WHATSAPP, at=at(20)))
    assert (await workspace.row("blocked_contacts"))["blocked_at"] == at(30)
    await workspace.play(workspace.message("between", at=at(25)), workspace.message("again", at=at(30)))
    texts = {row["content"]["text"] for row in await workspace.rows("conversation_messages")}
    assert texts == {"hello", "between"}


async def test_block_history_covers_a_contact_and_no_other_of_the_same_number(workspace: Workspace) -> None:
    by_sms = workspace.message("by sms", at=at(0), channel="sms")
    await workspace.play(workspace.message("hello", at=at(0)), by_sms)
    suggestion = await workspace.row("merge_suggestions")
    assert (suggestion["field"], suggestion["value"], len(suggestion["contact_ids"])) == ("phone", PHONE, 2)

    id_ = await workspace.contact_id(channel="whatsapp")
    block = workspace.command("block_contact", contact_id=str(id_), at=at(10))
    await workspace.play(block, *(workspace.message(at=at(20), channel=channel) for channel in ("whatsapp", "sms")))

    blocked = await workspace.row("blocked_contacts")
    assert (blocked["contact_id"], blocked["blocked_by"], blocked["blocked_at"]) == (id_, "olga", at(10))
    assert [row["channel"] for row in await workspace.rows("drop_ledger")] == ["whatsapp"]
    assert [row["contact_id"] for row in await workspace.rows("contact_list")] != [id_]
    assert await workspace.rows("merge_suggestions") == []


async def test_block_history_begins_for_an_unknown_identity_too(workspace: Workspace) -> None:
    block = workspace.command("block_contact", identity=identity("0049 151 12345678"), at=at(10))
    await workspace.play(block, workspace.message("hello", at=at(20)))

    assert await workspace.rows("conversation_messages") == []
    contact = await workspace.row("contact_overview")
    assert (contact["blocked"], contact["phone"], contact["conversation_status"]) == (True, PHONE, "blocked")

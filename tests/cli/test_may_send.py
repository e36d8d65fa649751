"""`sluice may-send`: normalises and hashes as the workers do, and tells every reason in words."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import runner
from tests.support.databases import HASH_KEY
from tests.workers.asking import ask, by_phone, give
from tests.workers.records import WORKSPACE
from tests.workers.sending import PHONE, join_company, protect, rows, wrote
from workers.errors import ExitCode

GONE, ON_FILE, OLD = "+4915100000001", "+4915100000002", "gone@example.com"
IN = ("--workspace", WORKSPACE)


@pytest.fixture
async def people(pool: Pool) -> dict[str, UUID]:
    """Ada, who is protected and opted out; Bob, who is blocked; Carl, who is deleted, and Dora with his number in her
    fields.
    """
    ada, bob = await wrote(pool, name="Ada"), await wrote(pool, "+4915100000009", name="Bob")
    carl, dora = await wrote(pool, GONE, name="Carl"), await wrote(pool, "@dora", channel="telegram")
    await protect(pool, ada)
    await join_company(pool, ada, "bolt")
    await rows(pool, "UPDATE identities SET opted_out = true WHERE address = ANY ($1) RETURNING 1", [PHONE, GONE])
    await give(
        pool,
        ask("configure_channel", channel_id="whatsapp-main", channel="whatsapp", default_region="DE"),
        ask("block_contact", identity=by_phone("+4915100000009"), minutes=1),
        ask("update_contact", contact_id=dora, set={"phone": GONE}),
        ask("delete_contacts", contact_ids=[carl], expected_count=1, minutes=2),
    )
    return {"ada": ada, "bob": bob, "carl": carl, "dora": dora}


@pytest.fixture
def sluice(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, DATABASE_URL=database, HASH_KEY=HASH_KEY)


def told(sluice: Callable[..., Ended], *arguments: str) -> tuple[list[str], dict[str, Any]]:
    """The reasons, and the whole document; the exit code says whether there are any."""
    ended = sluice("may-send", *IN, *arguments, "--json")
    document = json.loads(ended.out)
    assert (ended.code, ended.err) == (ExitCode.FAULT if document["reasons"] else ExitCode.CLEAN, "")
    assert (document["allowed"], document["reason"]) == (not document["reasons"], next(iter(document["reasons"]), None))
    return document["reasons"], document


def test_it_answers_as_a_request_would(
    people: dict[str, UUID], sluice: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = ["opted_out", "company_protected", "status_protected"]
    for to in (("--contact", str(people["ada"])), ("--address", PHONE), ("--address", "0151 1234 5678")):
        reasons, document = told(sluice, *to, "--channel", "whatsapp-main")
        assert (reasons, document["not_known"]) == (everything, None)
        assert told(sluice, *to, "--channel", "whatsapp")[0] == everything
    assert document["address"] == PHONE
    assert document["reasons_in_words"][0] == "the contact opted out at this address"

    for name, expected in (("bob", ["contact_blocked"]), ("carl", ["contact_deleted"]), ("dora", ["opted_out"])):
        assert told(sluice, "--contact", str(people[name]), "--channel", "whatsapp")[0] == expected
    assert told(sluice, "--contact", str(people["dora"]), "--channel", "sms")[0] == []
    assert told(sluice, "--address", GONE, "--channel", "whatsapp")[0] == ["opted_out"]
    assert told(sluice, "--address", "+4915100000003", "--channel", "whatsapp")[0] == []
    assert told(sluice, "--address", "Somebody@Example.COM", "--channel", "email")[0] == []
    assert told(sluice, "--address", "no address", "--channel", "email")[0] == ["bad_address"]
    assert told(sluice, "--address", "@nobody", "--channel", "telegram")[0] == ["contact_must_initiate"]

    page = sluice("may-send", *IN, "--address", PHONE, "--channel", "whatsapp").out
    assert page.splitlines() == [
        "may send  no: a send would be refused",
        f"to        {PHONE} on whatsapp",
        "because   the contact opted out at this address",
        "          a company of the contact's profile is protected",
        "          the status of the contact's profile is protected",
    ]
    monkeypatch.delenv("SLUICE_HASH_KEY")
    reasons, document = told(sluice, "--address", GONE, "--channel", "whatsapp")
    assert (reasons, "SLUICE_HASH_KEY is not set" in document["not_known"]) == ([], True)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (
            ("--address", PHONE, "--channel", "wa-2"),
            ExitCode.FAULT,
            "has no channel 'wa-2', and it is no kind of channel",
        ),
        (("--address", "0151 1234 5678", "--channel", "sms"), ExitCode.SETUP, "--address: a number in national form"),
        (("--channel", "sms"), ExitCode.SETUP, "say to whom: either --contact or --address"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    sluice: Callable[..., Ended], arguments: tuple[str, ...], code: ExitCode, error: str
) -> None:
    ended = sluice("may-send", *IN, *arguments)
    assert (ended.code, ended.out, error in ended.err) == (code, "", True)
    nobody = sluice("may-send", "--workspace", "nobody", "--address", PHONE, "--channel", "sms")
    assert (nobody.code, nobody.err) == (ExitCode.FAULT, "sluice: there is no workspace 'nobody'\n")

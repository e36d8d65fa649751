"""Lists of contacts, profiles and suggestions are read page by page, and nothing is lost between two pages."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, pages, runner
from tests.workers.asking import ask, by_phone, contact_of, give
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message, uuid_of
from workers.errors import ExitCode

IN: Final = ("--workspace", WORKSPACE)
ADA, BOB, CARL, DORA, EVE, FAY, GUS, HAL, IDA = (f"+49151000000{n:02}" for n in range(1, 10))
NAMES: Final = {ADA: "Ada", BOB: "Ada", CARL: None, DORA: "Dora", EVE: None, FAY: "Fay"}


@pytest.fixture
async def people(pool: Pool) -> dict[str, UUID]:
    """Two of one name, two without; Fay is blocked before Dora. Ada and Bob share an address, Ada and Carl a number.

    Three were merged into Eve, two of them at one moment.
    """
    for address, name in (NAMES | dict.fromkeys((GUS, HAL, IDA))).items():
        await ingest(pool, message(address, provider_message_id=address, name=name))
    ids = {address: await contact_of(pool, address) for address in NAMES}
    await give(
        pool,
        *(ask("add_tag", contact_id=ids[one], tag="vip") for one in (ADA, CARL, EVE, FAY)),
        *(ask("update_contact", contact_id=ids[one], set={"email": "ada@example.org"}) for one in (ADA, BOB)),
        ask("update_contact", contact_id=ids[CARL], set={"phone": ADA}),
        *(ask("create_profile", profile_id=f"p-{n}", name="Lovelace" if n < 3 else "Byron") for n in range(4)),
        *(ask("attach_contact", contact_id=ids[one], profile_id="p-0") for one in (ADA, BOB)),
    )
    for address, minutes in ((GUS, 1), (HAL, 1), (IDA, 2)):
        loser = await contact_of(pool, address)
        await give(pool, ask("merge_contacts", survivor_id=ids[EVE], loser_id=loser, minutes=minutes))
    await give(pool, ask("block_contact", identity=by_phone(FAY), minutes=1))
    await give(pool, ask("block_contact", identity=by_phone(DORA), minutes=2, actor="bo"))
    return ids


@pytest.fixture
def sluice(
    people: dict[str, UUID],  # noqa: ARG001 - there is something to show
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def whole(sluice: Callable[..., Ended], *arguments: str) -> Any:
    return document_of(sluice(*arguments, *IN, "--json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("contacts", "list"),
        ("contacts", "list", "--tag", "vip"),
        ("contacts", "list", "--blocked"),
        ("profiles", "list"),
        ("merge-suggestions",),
        ("merges",),
    ],
)
def test_pages_have_each_row_once_in_the_order_of_the_list(
    sluice: Callable[..., Ended], arguments: tuple[str, ...]
) -> None:
    listed = whole(sluice, *arguments)
    assert len(listed) > 1
    for limit in (1, 2):
        assert pages(sluice, *arguments, *IN, limit=limit) == listed


def test_contacts_are_listed_by_name_by_tag_and_by_block(sluice: Callable[..., Ended], people: dict[str, UUID]) -> None:
    phones = [row["phone"] for row in whole(sluice, "contacts", "list")]
    assert set(phones[:2]) == {ADA, BOB}
    assert sorted(map(str, phones[2:])) == sorted([ADA, EVE])  # Carl has Ada's number in his field
    tagged = {row["contact_id"] for row in whole(sluice, "contacts", "list", "--tag", "vip")}
    assert tagged == {str(people[one]) for one in (ADA, CARL, EVE)}
    blocked = whole(sluice, "contacts", "list", "--blocked")
    assert [(row["display_name"], row["blocked_by"]) for row in blocked] == [("Dora", "bo"), ("Fay", "olga")]


def test_a_blocked_contact_shows_since_when_and_by_whom(sluice: Callable[..., Ended], people: dict[str, UUID]) -> None:
    shown = whole(sluice, "contacts", "show", str(people[DORA]))
    assert (shown["contact"][0]["blocked"], [row["blocked_by"] for row in shown["block"]]) == (True, ["bo"])
    assert whole(sluice, "contacts", "channels", str(people[DORA])) == shown["channels"]
    assert whole(sluice, "contacts", "show", str(people[ADA]))["block"] == []


def test_suggestions_name_who_shares_what(sluice: Callable[..., Ended], people: dict[str, UUID]) -> None:
    email, phone = whole(sluice, "merge-suggestions")
    assert (email["field"], email["value"]) == ("email", "ada@example.org")
    assert set(email["contact_ids"]) == {str(people[ADA]), str(people[BOB])}
    assert (phone["field"], set(phone["contact_ids"])) == ("phone", {str(people[ADA]), str(people[CARL])})
    [of_bob] = whole(sluice, "merge-suggestions", "--contact", str(people[BOB]))
    assert (of_bob["field"], of_bob["contact_id"]) == ("email", str(people[ADA]))


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("contacts", "list", "--after", str(uuid_of("x"))), ExitCode.FAULT, "has no contact"),
        (("profiles", "list", "--after", "p-9"), ExitCode.FAULT, "workspace 'acme' has no profile 'p-9'"),
        (("profiles", "moments", "p-9"), ExitCode.FAULT, "workspace 'acme' has no profile 'p-9'"),
        (("contacts", "messages", str(uuid_of("x"))), ExitCode.FAULT, "has no contact"),
        (("contacts", "channels", str(uuid_of("x"))), ExitCode.FAULT, "has no contact"),
        (("contacts", "list", "--blocked", "--tag", "vip"), ExitCode.SETUP, "--blocked goes without --tag and --after"),
        (("contacts", "list", "--before", "2026-03-01"), ExitCode.SETUP, "--before belongs to --blocked"),
        (("runs", "list", "--before", "soon"), ExitCode.SETUP, "--before: expected a time"),
        (("merge-suggestions", "--after", "name:x"), ExitCode.SETUP, "expected email:VALUE or phone:VALUE"),
        (("drops", "--before", "soon"), ExitCode.SETUP, "--before: expected a time"),
        (("drops", "--before", "2026-03-01/x"), ExitCode.SETUP, "expected the id of a row behind the /, got 'x'"),
    ],
)
def test_what_is_not_there_or_wrong_is_a_sentence(
    sluice: Callable[..., Ended], arguments: tuple[str, ...], code: ExitCode, error: str
) -> None:
    ended = sluice(*arguments, *IN)
    assert (ended.code, ended.out) == (code, "")
    assert error in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("contacts", "list"),
        ("contacts", "list", "--tag", "t"),
        ("contacts", "list", "--blocked"),
        ("contacts", "channels", str(uuid_of("x"))),
        ("contacts", "messages", str(uuid_of("x"))),
        ("profiles", "list"),
        ("profiles", "moments", "p-1"),
        ("merge-suggestions",),
        ("merges",),
        ("drops",),
    ],
)
def test_an_unknown_workspace_is_said_so(sluice: Callable[..., Ended], arguments: tuple[str, ...]) -> None:
    ended = sluice(*arguments, "--workspace", "nobody")
    assert (ended.code, ended.out, ended.err) == (ExitCode.FAULT, "", "sluice: there is no workspace 'nobody'\n")

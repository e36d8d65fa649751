"""Generated states of everything that sends are judged by, and their storage in a database, set by set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.workers.records import WORKSPACE, uuid_of
from workers.rules.blocks import BlockCommand, Interval
from workers.rules.cycles import Setting
from workers.rules.identities import ResolvedIdentity, identify
from workers.store import address_hashes, contacts, workspaces
from workers.store.address_hashes import KeptAddress
from workers.store.connection import Connection
from workers.store.contacts import key_of

NOW: Final = datetime.now(UTC)
EARLY: Final = NOW - timedelta(days=9)
REGION: Final = "DE"
CHANNELS: Final = ("whatsapp", "sms", "email", "telegram", "messenger")

GENERATED: Final = settings(
    max_examples=40,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The database outlives the examples of a test, so each rolls back what it did. To shrink one would take minutes."""

PHONES: Final = (
    *("+4915112345678", "015112345678", "22507123456", "+22507123456", "+2250707123456", "5215512345678"),
    *("+5215512345678", "+525512345678", "+551187654321", "+5511987654321", "12345", "BANK", "tel:12345", "SMS:BANK"),
    *("555-1234", "+15551234", "US.13491208655302741918", "БАНК", "１２３４５", "12345\u200e", "+88312345678"),
    *("+12025550123;ext=7", "+49"),
)
EMAILS: Final = (
    *("ana@example.com", "Ana@Example.com", "faß@example.com", "ana@bücher.example", "ana", "@", "a@b@c.example"),
    *("@x", "x@", "a@-b", '"a b"@example.com', "a.@[127.0.0.1]", "a\u00a0b@example.com", "Ana <ana@example.com>"),
)

phones = st.sampled_from(PHONES) | st.from_regex(r"\A\+?[0-9 ().-]{1,18}\Z") | st.from_regex(r"\A\+[1-9][0-9]{4,14}\Z")
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
emails = st.sampled_from(EMAILS) | st.emails() | words


def addresses(channel: str) -> st.SearchStrategy[str]:
    """What might be typed, or come from a provider."""
    if channel in ("whatsapp", "sms"):
        return phones | words
    return emails if channel == "email" else words


moments = st.integers(-8, 2).map(lambda quarters: NOW + timedelta(hours=6 * quarters, minutes=-1))
marks = st.integers(-3, -1).map(lambda hours: NOW + timedelta(hours=hours))
"""Few, so that what is compared often falls on one instant."""


@st.composite
def histories(draw: st.DrawFn, times: st.SearchStrategy[datetime] = moments) -> tuple[Interval, ...]:
    """Intervals, oldest first; the last one may be open."""
    edges = sorted(draw(st.lists(times, unique=True, max_size=5)))
    ends = [*edges[1::2], None]
    return tuple(Interval(start, ends[n], "ann") for n, start in enumerate(edges[::2]))


@dataclass(frozen=True)
class Someone:
    """A contact: its history, profile (None, one that exists, or one that does not) and fields, which the channel said
    or a person wrote over what the channel said.
    """

    contact_id: UUID
    blocks: tuple[Interval, ...] = ()
    profile_id: str | None = None
    profile_at: datetime = NOW
    phone: str | None = None
    email: str | None = None
    by_hand: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        shown = {"phone": self.phone, "email": self.email}
        written = {name: value for name, value in shown.items() if value is not None and self.by_hand}
        said = {"phone": "+12025550199", "email": "said@example.org"}
        return shown | {name: said[name] for name in written} | {"edited": written or None}


@dataclass(frozen=True)
class Address:
    """An identity of the contact with that number."""

    owner: int
    identity: ResolvedIdentity
    connected_at: datetime | None
    opted_out: bool


@dataclass(frozen=True)
class Left:
    """What a deleted contact leaves with an address that nobody has now. `opted_out` None: it never opted out or in."""

    identity: ResolvedIdentity
    blocks: tuple[Interval, ...]
    opted_out: bool | None


@dataclass(frozen=True)
class World:
    """`statuses` and `companies` as name -> since when it protects, None: it does not.

    `profiles` as id -> status and companies, each of which may be one that does not exist; `runs` as run_id -> state
    and what was published.
    """

    people: Sequence[Someone]
    addresses: Sequence[Address] = ()
    left: Sequence[Left] = ()
    statuses: dict[str, datetime | None] = field(default_factory=dict)
    companies: dict[str, datetime | None] = field(default_factory=dict)
    profiles: dict[str, tuple[str | None, frozenset[str]]] = field(default_factory=dict)
    runs: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def _optional(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


def _kept(channel: str) -> st.SearchStrategy[str | None]:
    """A number or an e-mail address as fields hold it."""

    def understood(text: str) -> str | None:
        identity = identify(channel, "", text, REGION)
        return identity.email if channel == "email" else identity.phone

    return addresses(channel).map(understood)


@st.composite
def _addresses(draw: st.DrawFn, people: int) -> list[Address]:
    drawn: dict[tuple[str, str, str], Address] = {}
    for channel in draw(st.lists(st.sampled_from(CHANNELS), min_size=3, max_size=12)):
        identity = identify(channel, f"{channel}-main", draw(addresses(channel)), draw(_optional(st.just(REGION))))
        key = identity.channel, identity.scope, identity.lookup
        owner, wrote = draw(st.integers(0, people - 1)), draw(_optional(moments))
        drawn.setdefault(key, Address(owner, identity, wrote, draw(st.booleans())))
    return list(drawn.values())


NO_BLOCK: Final = st.just(())


@st.composite
def _left(draw: st.DrawFn, known: Sequence[Address]) -> list[Left]:
    taken = {key_of(WORKSPACE, a.identity) for a in known}
    left: list[Left] = []
    for channel in draw(st.lists(st.sampled_from(CHANNELS), max_size=4)):
        identity = identify(channel, f"{channel}-main", draw(addresses(channel)), draw(_optional(st.just(REGION))))
        if key_of(WORKSPACE, identity) not in taken:
            taken.add(key_of(WORKSPACE, identity))
            left.append(Left(identity, draw(st.one_of(NO_BLOCK, histories())), draw(_optional(st.booleans()))))
    return left


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Few people, with everything that can speak against writing to them."""
    names = st.sampled_from(["VIP", "VIP", "plain", "gone"])
    protecting = st.fixed_dictionaries({"plain": st.none(), "VIP": st.one_of(marks, marks, st.none())})
    people = draw(
        st.lists(
            st.builds(
                Someone,
                contact_id=st.uuids(version=4),
                blocks=st.one_of(NO_BLOCK, NO_BLOCK, histories()),
                profile_id=st.sampled_from([None, None, "p1", "p2", "gone"]),
                profile_at=marks,
                phone=_optional(_kept("sms")),
                email=_optional(_kept("email")),
                by_hand=st.booleans(),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda s: s.contact_id,
        )
    )
    known = draw(_addresses(len(people)))
    return World(
        people,
        known,
        draw(_left(known)),
        draw(protecting),
        draw(protecting),
        {name: (draw(_optional(names)), draw(st.frozensets(names))) for name in ("p1", "p2")},
        {
            "r1": (
                draw(st.sampled_from(["running", "halted", "refused", "finished"])),
                draw(_optional(st.just("run_halted"))),
            )
        },
    )


async def load(tx: Connection, world: World) -> None:
    """The world as the workers would have stored it."""
    await workspaces.share(tx, {(WORKSPACE, f"{channel}-main", channel) for channel in CHANNELS})
    await workspaces.add_settings(tx, [(WORKSPACE, Setting(NOW, uuid_of("region"), "", "default_region", REGION))])
    people = world.people
    await add(tx, "contacts", [
        {"workspace_id": WORKSPACE, "contact_id": p.contact_id, "conversation_id": p.contact_id, "custom": {},
         "profile_id": p.profile_id, "profile_at": p.profile_at, "blocks": "{}", "revision": 1, **p.fields}
        for p in people
    ])  # fmt: skip
    await contacts.save_blocks(tx, {(WORKSPACE, p.contact_id): p.blocks for p in people})
    await add(tx, "identities", [
        {"workspace_id": WORKSPACE, "identity_id": number, "channel": a.identity.channel, "scope": a.identity.scope,
         "lookup": a.identity.lookup, "address": a.identity.address, "contact_id": people[a.owner].contact_id,
         "connected_at": a.connected_at, "opted_out": a.opted_out}
        for number, a in enumerate(world.addresses, start=1_000_000)
    ])  # fmt: skip
    stamp = {"workspace_id": WORKSPACE, "written_at": NOW, "written_by": uuid_of("x"), "named_at": NOW,
             "named_by": uuid_of("x"), "created_at": NOW, "created_by": "ann"}  # fmt: skip
    await add(tx, "profile_statuses", [
        {**stamp, "name": name, "protected": since is not None, "protected_since": since}
        for name, since in world.statuses.items()
    ])  # fmt: skip
    await add(tx, "companies", [
        {**stamp, "company_id": name, "name": name, "protected": since is not None, "protected_since": since}
        for name, since in world.companies.items()
    ])  # fmt: skip
    await add(tx, "profiles", [
        {
            **stamp, "profile_id": id_, "name": id_, "name_key": id_, "name_grams": [], "fields": {}, "written": {},
            "status": status, "status_at": EARLY, "contacts": 0,
        }
        for id_, (status, _) in world.profiles.items()
    ])  # fmt: skip
    await add(tx, "profile_companies", [
        {"workspace_id": WORKSPACE, "profile_id": id_, "company_id": company, "since": EARLY}
        for id_, (_, companies) in world.profiles.items() for company in companies
    ])  # fmt: skip
    await add(tx, "workflow_runs", [
        {"workspace_id": WORKSPACE, "run_id": run, "workflow_id": "w", "trigger": "automatic", "started_at": NOW,
         "state": state, "published": published, "revision": 1}
        for run, (state, published) in world.runs.items()
    ])  # fmt: skip
    await address_hashes.add(
        tx,
        [
            (key_of(WORKSPACE, left.identity), _kept_address(number, left))
            for number, left in enumerate(world.left, start=2_000_000)
        ],
    )


def _kept_address(number: int, left: Left) -> KeptAddress:
    said = left.opted_out is not None
    return KeptAddress(
        WORKSPACE,
        hash=b"",
        identity_id=number,
        contact_id=uuid_of(f"deleted {number}"),
        began_at=None,
        ended_at=NOW,
        commands=tuple(_commands(left.blocks)),
        opted_out=bool(left.opted_out),
        opted_at=EARLY if said else None,
        opted_by=uuid_of("x") if said else None,
    )


def _commands(blocks: Sequence[Interval]) -> Iterator[BlockCommand]:
    for number, block in enumerate(blocks):
        yield BlockCommand(block.start, False, uuid_of(f"block {number}"), "ann")  # noqa: FBT003 - it blocks
        if block.end is not None:
            yield BlockCommand(block.end, True, uuid_of(f"unblock {number}"), "ann")  # noqa: FBT003 - it unblocks


async def add(tx: Connection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Rows in one statement."""
    await tx.execute(
        f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)",  # noqa: S608
        msgspec.json.encode(list(rows)).decode(),
    )

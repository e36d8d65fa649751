"""What an inbox, an API and operators ask first, as they would ask it: each question is a page, or one row."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

_NEVER: Final = UUID(int=0)
_FIRST_NUMBER: Final = 10_000_000
_STEP: Final = 7919


@dataclass(frozen=True)
class Place:
    """A workspace of `fill.sql`, and what there is to ask about: values of the n-th call."""

    workspace: str
    contacts: int
    prefix: str
    now: datetime

    def contact(self, n: int) -> UUID:
        # The first ones have very many messages.
        return _made(self.prefix, 4 + n * 104_729 % (self.contacts - 4))

    def number(self, n: int) -> str:
        if self.prefix != "c":
            return f"+49151{90_000_000 + 1 + n % 50}"
        return f"+49151{_FIRST_NUMBER + _STEP * (4 + n * 104_729 % (self.contacts - 4)) % self.contacts}"

    def profile(self, n: int) -> str:
        return f"p-{n * 7919 % (self.contacts // 10)}"

    def send(self, n: int) -> UUID:
        return _made("s", n * 7919 % (self.contacts // 2))

    def ago(self, n: int) -> datetime:
        """Moments of the last month."""
        return self.now - timedelta(hours=3 + n * 17 % 600)

    def cycle(self) -> datetime:
        """The cycle of thirty hours ago: the present one may have nothing yet, on the first of a month."""
        return (self.now - timedelta(hours=30)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def large(contacts: int, now: datetime) -> Place:
    return Place("acme", contacts, "c", now)


def small(now: datetime) -> Place:
    return Place("tenant-7", 50, "t7-", now)


class Question(NamedTuple):
    """`values` are the arguments of the n-th call, the workspace first."""

    name: str
    statement: str
    values: Callable[[Place, int], Sequence[object]]


def _made(kind: str, n: int) -> UUID:
    return UUID(hashlib.md5(f"{kind}{n}".encode(), usedforsecurity=False).hexdigest())


def _page(view: str, order: str, where: str = "") -> str:
    return f"SELECT * FROM sluice.{view} WHERE workspace_id = $1{where} ORDER BY {order} LIMIT 50"  # noqa: S608


def _whole(place: Place, _n: int) -> Sequence[object]:
    return (place.workspace,)


def _contact(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.contact(n)


def _large(place: Place, _n: int) -> Sequence[object]:
    return place.workspace, _made(place.prefix, 0)


def _words(*queries: str) -> Callable[[Place, int], Sequence[object]]:
    return lambda place, n: (place.workspace, queries[n % len(queries)])


def _assignee(place: Place, n: int) -> Sequence[object]:
    return place.workspace, f"agent-{n % 200}"


def _profile(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.profile(n)


def _number(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.number(n)


def _lately(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.now - timedelta(minutes=15 + n), _NEVER


def _command(command: str, /, **fields: Callable[[Place, int], object]) -> Callable[[Place, int], Sequence[object]]:
    def values(place: Place, n: int) -> Sequence[object]:
        given = {"command": command} | {field: value(place, n) for field, value in fields.items()}
        return place.workspace, json.dumps(given, default=str)

    return values


_FUNCTION: Final = "SELECT * FROM sluice."
_MONTH: Final = timedelta(days=30)

QUESTIONS: Final[Sequence[Question]] = (
    Question("may_send to a contact", f"{_FUNCTION}may_send($1, $2::uuid, 'whatsapp')", _contact),
    Question(
        "may_send to an address",
        f"{_FUNCTION}may_send($1, $2::text, 'whatsapp')",
        _number,
    ),
    Question("contacts by name", _page("contact_list", "display_name, contact_id"), _whole),
    Question(
        "contacts by name, from the middle",
        _page("contact_list", "display_name, contact_id", " AND (display_name, contact_id) > ($2, $3)"),
        lambda place, n: (place.workspace, f"{chr(ord('B') + n % 16)}", _NEVER),
    ),
    Question("contacts with a tag", f"{_FUNCTION}contact_page($1, $2, '{_NEVER}', 50)", _words("tag 1", "tag 7")),
    Question("blocked contacts, newest", _page("blocked_contacts", "blocked_at DESC"), _whole),
    Question("a contact", f"{_FUNCTION}contact_overview WHERE workspace_id = $1 AND contact_id = $2", _contact),
    Question("its channels", f"{_FUNCTION}contact_channels WHERE workspace_id = $1 AND contact_id = $2", _contact),
    Question(
        "a channel by address",
        f"{_FUNCTION}contact_channels WHERE workspace_id = $1 AND address = $2",
        _number,
    ),
    Question("search: a rare word", f"{_FUNCTION}search_contacts($1, $2, 50)", _words("9e3", "c0ff", "beef1")),
    Question("search: a common word", f"{_FUNCTION}search_contacts($1, $2, 50)", _words("smith", "anna", "guest")),
    Question("search: one or two characters", f"{_FUNCTION}search_contacts($1, $2, 50)", _words("a", "李", "ro")),
    Question("search: part of a number", f"{_FUNCTION}search_contacts($1, $2, 50)", _words("151100012", "0034", "77")),
    Question(
        "search: a number",
        f"{_FUNCTION}search_contacts($1, $2, 50)",
        _number,
    ),
    Question("search: an e-mail address", f"{_FUNCTION}search_contacts($1, $2, 50)", _words("user12@example.org")),
    Question("inbox: open, newest", _page("inbox", "last_message_at DESC", " AND status = 'open'"), _whole),
    Question(
        "inbox: open, before a moment",
        _page("inbox", "last_message_at DESC", " AND status = 'open' AND last_message_at < $2"),
        lambda place, n: (place.workspace, place.ago(n)),
    ),
    Question(
        "inbox: open, of one assignee",
        _page("inbox", "last_message_at DESC", " AND status = 'open' AND assignee = $2"),
        _assignee,
    ),
    Question("inbox: snoozed", _page("inbox", "last_message_at DESC", " AND status = 'snoozed'"), _whole),
    Question("a conversation, newest", f"{_FUNCTION}conversation_page($1, $2, NULL, NULL, 50)", _contact),
    Question("a very long one, newest", f"{_FUNCTION}conversation_page($1, $2, NULL, NULL, 50)", _large),
    Question(
        "a very long one, older",
        f"{_FUNCTION}conversation_page($1, $2, $3, NULL, 50)",
        lambda place, n: (*_large(place, n), place.ago(n)),
    ),
    Question(
        "a conversation by the view",
        f"{_FUNCTION}conversation_messages WHERE workspace_id = $1 AND contact_id = $2"
        " ORDER BY event_time DESC LIMIT 50",
        _contact,
    ),
    Question(
        "moments of a profile",
        f"{_FUNCTION}profile_page($1, $2, NULL, NULL, 50)",
        _profile,
    ),
    Question("of a very large one", f"{_FUNCTION}profile_page($1, $2, NULL, NULL, 50)", _words("p-large")),
    Question(
        "moments of a profile by the view",
        f"{_FUNCTION}profile_moments WHERE workspace_id = $1 AND profile_id = $2 ORDER BY event_time DESC LIMIT 50",
        _profile,
    ),
    Question("drops, newest", f"{_FUNCTION}drops_page($1, NULL, NULL, 50)", _whole),
    Question("drops, older", f"{_FUNCTION}drops_page($1, $2, $3, 50)", _lately),
    Question("drops of a contact", f"{_FUNCTION}drop_ledger WHERE workspace_id = $1 AND contact_id = $2", _contact),
    Question("sends, newest", f"{_FUNCTION}sends_page($1, NULL, NULL, NULL, 50)", _whole),
    Question("sends, newest failed", f"{_FUNCTION}sends_page($1, 'failed', NULL, NULL, 50)", _whole),
    Question("sends of a contact", f"{_FUNCTION}sends WHERE workspace_id = $1 AND contact_id = $2", _contact),
    Question(
        "a send",
        f"{_FUNCTION}sends WHERE workspace_id = $1 AND send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question(
        "attempts of a send",
        f"{_FUNCTION}send_attempts WHERE workspace_id = $1 AND send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question(
        "confirmations of a send",
        f"{_FUNCTION}send_confirmations WHERE workspace_id = $1 AND send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question(
        "a group's counts",
        f"{_FUNCTION}send_groups WHERE workspace_id = $1 AND group_id = $2",
        lambda place, n: (place.workspace, f"group-{n}"),
    ),
    Question("holds, oldest", _page("held_sends", "held_at, send_id"), _whole),
    Question(
        "holds of a group",
        _page("held_sends", "held_at, send_id", " AND group_id = $2"),
        lambda place, n: (place.workspace, f"group-{n}"),
    ),
    Question(
        "one hold",
        f"{_FUNCTION}held_sends h CROSS JOIN LATERAL sluice.hold_details(h.workspace_id, h.send_id)"
        " CROSS JOIN LATERAL sluice.send_details(h.workspace_id, h.send_id)"
        " WHERE h.workspace_id = $1 AND h.send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question("holds that can go", _page("held_sends", "held_at, send_id", " AND releasable"), _whole),
    Question("profiles by name", _page("profile_overview", "name, profile_id"), _whole),
    Question("profiles, protected", _page("profile_overview", "name, profile_id", " AND protected"), _whole),
    Question("profiles: a search", f"{_FUNCTION}search_profiles($1, $2, 50)", _words("9e3", "house", "c0ff")),
    Question(
        "a profile",
        f"{_FUNCTION}profile_overview WHERE workspace_id = $1 AND profile_id = $2",
        _profile,
    ),
    Question("merge suggestions", _page("merge_suggestions", "field, value"), _whole),
    Question("suggestions of a contact", f"{_FUNCTION}suggestions_of($1, $2)", _contact),
    Question("merges, newest", _page("merge_history", "merged_at DESC, merge_id"), _whole),
    Question("runs, newest", f"{_FUNCTION}runs_page($1, NULL, NULL, 50)", _whole),
    Question("runs of a contact, newest", f"{_FUNCTION}contact_runs($1, $2, NULL, 50)", _contact),
    Question(
        "why a run ended",
        f"{_FUNCTION}runs_page($1, $2, NULL, 1) r CROSS JOIN LATERAL sluice.run_details(r.workspace_id, r.run_id)",
        lambda place, n: (place.workspace, place.ago(n)),
    ),
    Question("runs of a contact", f"{_FUNCTION}workflow_runs WHERE workspace_id = $1 AND contact_id = $2", _contact),
    Question("audit, newest", _page("audit_log", "at DESC"), _whole),
    Question("inbox: counts", f"{_FUNCTION}inbox_counts WHERE workspace_id = $1", _whole),
    Question(
        "active by day",
        f"{_FUNCTION}mac_days WHERE workspace_id = $1 AND cycle_start = $2 ORDER BY day",
        lambda place, _n: (place.workspace, place.cycle()),
    ),
    Question("counts", _page("mac_counts", "cycle_start DESC"), _whole),
    Question(
        "counted, newest",
        f"{_FUNCTION}counted_page($1, $2, NULL, NULL, 50)",
        lambda place, _n: (place.workspace, place.cycle()),
    ),
    Question(
        "counted, or not",
        f"{_FUNCTION}mac_contacts WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id = $3",
        lambda place, n: (place.workspace, place.cycle(), place.contact(n)),
    ),
    Question(
        "counted, explained",
        f"{_FUNCTION}explain_mac($1, $2, $3)",
        lambda place, n: (place.workspace, place.cycle(), place.contact(n)),
    ),
    Question("impact of a block", f"{_FUNCTION}impact($1, $2)", _command("block_contact", contact_id=Place.contact)),
    Question(
        "impact of a block in the past",
        f"{_FUNCTION}impact($1, $2)",
        _command("block_contact", contact_id=lambda p, _n: _made(p.prefix, 0), issued_at=lambda p, _n: p.now - _MONTH),
    ),
    Question(
        "impact of a merge",
        f"{_FUNCTION}impact($1, $2)",
        _command("merge_contacts", survivor_id=Place.contact, loser_id=lambda p, n: p.contact(n + 1)),
    ),
    Question(
        "impact of a deletion",
        f"{_FUNCTION}impact($1, $2)",
        _command("delete_contacts", contact_ids=lambda p, n: [p.contact(m) for m in range(n, n + 3)]),
    ),
    Question(
        "impact of a deletion of all", f"{_FUNCTION}impact($1, $2)", _command("delete_contacts", all=lambda *_: True)
    ),
    Question(
        "impact of a protected company",
        f"{_FUNCTION}impact($1, $2)",
        _command("protect_company", company_id=lambda _p, n: f"co-{n % 49 + 1}"),
    ),
    Question(
        "impact of a protected status",
        f"{_FUNCTION}impact($1, $2)",
        _command("define_status", name=lambda *_: "lead", protected=lambda *_: True),
    ),
    Question("settings", f"{_FUNCTION}workspace_settings WHERE workspace_id = $1", _whole),
    Question("deletions", _page("deletions", "requested_at DESC"), _whole),
    Question("dead letters, newest", f"{_FUNCTION}dead_letter_list ORDER BY id DESC LIMIT 50", lambda _p, _n: ()),
)


def now_of(text: str) -> datetime:
    """The time at which the data was made."""
    return datetime.fromisoformat(text).astimezone(UTC)

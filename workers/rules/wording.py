"""What the command line says of sends, holds and runs, in words. Pure: the time is an argument."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

_REASONS: Final[Mapping[str, str]] = {
    "contact_deleted": "the contact was deleted",
    "contact_blocked": "the contact is blocked, or was when it was requested",
    "contact_merged": "the contact was merged into another one",
    "opted_out": "the contact opted out at this address",
    "run_halted": "the workflow run that asked for it has been stopped",
    "bad_address": "the address cannot be written to",
    "contact_must_initiate": "on this channel the contact must write first",
    "unknown_contact": "there is no such contact",
    "status_protected": "the status of the contact's profile is protected",
    "company_protected": "a company of the contact's profile is protected",
    "protection_unknown": "what protects the contact's profile could not be read",
    "invalid": "a field of the request is wrong",
    "not_claimed": "no sender claimed the attempt in time",
    "settled": "a person said that it failed",
}

CODES: Final = frozenset(_REASONS)
"""All reasons that have words."""
PROTECTIONS: Final = frozenset({"status_protected", "company_protected", "protection_unknown"})
"""Reasons to wait for a person. All others are reasons never to send."""


def reason(code: str) -> str:
    """A reason in words; a code that is not known stays as it is."""
    return _REASONS.get(code, code)


def ground(told: Mapping[str, Any]) -> str:
    """What protects a profile: `code`, `of` (the name of a status, the id of a company), `name` of the company."""
    match told["code"], told["of"], told["name"]:
        case "status_protected", str(of), _:
            return f"status {of} is protected"
        case "company_protected", str(of), name:
            return f"company {of if name in (None, of) else f'{name} ({of})'} is protected"
        case code, _, _:
            return reason(code)


def grounds(codes: Sequence[str], known: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a hold shows: each protection by its name, and codes of which no name is known."""
    named = {one["code"] for one in known}
    return [*map(ground, known), *(reason(code) for code in codes if code not in named)]


def span(length: timedelta) -> str:
    """How long, in two units at most: `2 days 3 h`, `5 min`, `12 s`. Less than a second and below: `0 s`."""
    seconds = max(int(length.total_seconds()), 0)
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    parts = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    first = next((n for n, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(
        f"{number} {unit}" for number, unit in parts[first : first + 2] if number or first == len(parts) - 1
    )


def time_text(at: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def when(at: datetime, now: datetime) -> str:
    """A time, and how far away it is."""
    away = f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"
    return f"{time_text(at)}, {away}"


def recipient(send: Mapping[str, Any]) -> str:
    """To whom a send goes, and on which channel."""
    who, address = send["display_name"] or "a contact without a name", send["address"] or "nobody"
    return f"{who}, {address} on {send['channel']} ({send['channel_id']})"


def requester(send: Mapping[str, Any]) -> str:
    """Who requested a send, and when."""
    return f"by {send['requested_by']} ({send['requested_role']}), {when(send['requested_at'], send['now'])}"


def step(send: Mapping[str, Any]) -> str | None:
    """The step of a run that requested a send; None: no run did."""
    return f"{send['run_id']}, step {send['step_id'] or ''}".rstrip() if send["run_id"] is not None else None


def confirming(hold: Mapping[str, Any]) -> list[str]:
    """What a confirmation of the hold does, as far as it is known now."""
    if hold["expires_at"] <= hold["now"]:
        return ["It comes too late: the hold has expired."]
    told = []
    if hold["two_person_confirm"]:
        told.append(f"Another person than {hold['requested_by']} must give it (two_person_confirm).")
    if hold["refusals"]:
        return [*told, f"It refuses the send: {'; '.join(map(reason, hold['refusals']))}."]
    if hold["new_grounds"]:
        return [
            *told,
            f"It holds the send once more, for what came since: {'; '.join(map(ground, hold['new_grounds']))}.",
        ]
    told.append(f"It releases the send: the message goes to {hold['address']} on {hold['channel_id']}.")
    if hold["releasable"]:
        told.append("Nothing protects the contact any more; it still waits for an answer.")
    return told


def answered(changed: Mapping[str, int], group: str | None) -> str:
    """What an answer to a hold, or to a group of holds, led to."""
    if not changed:
        return "Nothing changed: " + (
            "nothing of the group waits." if group is not None else "it was confirmed before."
        )
    words = {
        "released": "released",
        "held": "held once more: for reasons that nobody was shown, or it waits for a second person",
        "refused": "refused: it may not be sent any more",
        "rejected": "rejected",
    }
    return "\n".join(f"{number:,} {words.get(status, status)}" for status, number in changed.items())


def verdict(reasons: Sequence[str]) -> str:
    """What would become of a send that has these reasons against it."""
    if not reasons:
        return "yes: a send would be dispatched now"
    if PROTECTIONS.issuperset(reasons):
        return "not without a person: a send would be held until somebody confirms it"
    return "no: a send would be refused"

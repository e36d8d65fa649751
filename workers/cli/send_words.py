"""What the command line says of the state of sends, in words. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from workers.rules import wording

STANDINGS: Final[Mapping[str, Collection[str]]] = {
    "went out": ("read", "delivered", "sent"),
    "failed": ("failed",),
    "never": ("refused", "rejected", "expired", "cancelled"),
    "waits": ("held",),
    "under way": ("requested", "released", "dispatched"),
    "unclear": ("ambiguous",),
}
"""Statuses by how a send stands. `failed`: perhaps another attempt follows."""

_FINISHED: Final = ("went out", "failed", "never")
_WIDTH: Final = 30


class GroupProgress(NamedTuple):
    """How many sends there are, and how many of them have gone out or ended."""

    sends: int
    finished: int


def progress(counts: Mapping[str, int]) -> GroupProgress:
    """How far a group is, by its number of sends of each status."""
    over = {status for standing in _FINISHED for status in STANDINGS[standing]}
    return GroupProgress(sum(counts.values()), sum(number for status, number in counts.items() if status in over))


def bar(finished: int, total: int) -> str:
    """A bar and numbers; it is full only if nothing is left."""
    filled = _WIDTH * finished // max(total, 1)
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {finished:,} of {total:,} ({100 * finished // max(total, 1)} %)"


def counted(counts: Mapping[str, int], states: Collection[str]) -> str | None:
    """These statuses with their numbers; None: no send has one of them."""
    found = [(status, counts[status]) for status in states if counts.get(status)]
    if not found:
        return None
    if len(found) == 1:
        return f"{found[0][1]:,} {found[0][0]}"
    return f"{sum(number for _, number in found):,}: {', '.join(f'{number:,} {status}' for status, number in found)}"


def status(send: Mapping[str, Any]) -> str:
    """The status, with its reason in words."""
    if send["reason"] is None:
        return str(send["status"])
    words = wording.reason(send["reason"])
    return f"{send['status']}: {send['reason']}" + ("" if words == send["reason"] else f" ({words})")


def attempt(one: Mapping[str, Any]) -> list[str]:
    """An attempt: when it was dispatched and claimed, and what receipts said."""
    told = f"{one['attempt']}: {one['status']}"
    if one["at"] is not None:
        told += f" {wording.time_text(one['at'])}"
    if one["error_code"] is not None:
        told += f", {one['error_code']}"
    if one["error_message"] is not None:
        told += f": {one['error_message']}"
    claimed = "not claimed" if one["claimed_at"] is None else f"claimed {wording.time_text(one['claimed_at'])}"
    lines = [told, f"   dispatched {wording.time_text(one['dispatched_at'])}, {claimed}"]
    if one["provider_message_id"] is not None:
        lines.append(f"   provider's id {one['provider_message_id']}")
    return lines


def confirmation(one: Mapping[str, Any]) -> str:
    """Who confirmed it when, for what, and what it led to."""
    role = f" ({one['role']})" if one["role"] is not None else ""
    reasons = f" for {', '.join(one['reasons'])}" if one["reasons"] else ""
    return f"by {one['confirmed_by']}{role} {wording.time_text(one['confirmed_at'])}{reasons}: {one['outcome']}"


_FINAL: Final = "This is final. A new request needs an id of its own."
_NEXT: Final[Mapping[str, str]] = {
    "requested": "A worker decides about it.",
    "released": "A worker dispatches it.",
    "refused": _FINAL,
    "rejected": _FINAL,
    "expired": _FINAL,
    "cancelled": _FINAL,
    "sent": "The provider has it. Later receipts are still taken.",
    "delivered": "The provider has it. Later receipts are still taken.",
    "read": "Nothing is left to do.",
}


def next_steps(send: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What happens next to a send, or what a person can do about it."""
    id_, here = send["send_id"], f"--workspace {send['workspace_id']}"
    giving = f"{here} --actor YOU --role ROLE"
    match send["status"]:
        case "held":
            told = [
                "A person decides:",
                f"sluice holds show {id_} {here}",
                f"sluice holds confirm {id_} {giving}",
                f"sluice holds reject {id_} {giving}",
            ]
        case "ambiguous":
            told = [
                "Nobody knows whether it went out, so nothing repeats it. A late receipt settles it, or a person:",
                f"sluice settle-send --send-id {id_} --as sent|failed|retry {giving}",
            ]
        case "dispatched":
            claimed = any(one["claimed_at"] is not None for one in attempts if one["attempt"] == send["attempt"])
            told = ["A sender has claimed it: its receipt follows." if claimed else "A sender has to claim it."]
        case "failed" if send["next_attempt_at"] is not None:
            told = [f"Attempt {len(attempts) + 1} is due: {wording.when(send['next_attempt_at'], send['now'])}"]
        case "failed":
            told = ["It failed for good. To try once more, request a new send with an id of its own."]
        case status:
            told = [_NEXT[status]]
    return told

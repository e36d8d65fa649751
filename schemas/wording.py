"""Decoding errors in words for operators, which repeat nothing of the record."""

import re
from typing import Final, get_args

import msgspec

from schemas import actors, fields, framing, inbound, receipts, sends, settings_commands, workflow_events

_AT = re.compile(r" - at `(\$[^`]*)`$")
_LAST_NAME = re.compile(r"\.(\w+)(?:\[(?:\d+|\.\.\.)\])*$")
_ECHOED = re.compile(r"^Invalid (?:enum )?value ")
_A_TIME: Final = "a time of RFC 3339 such as 2026-03-01T12:00:00Z"
_OURS: Final = {
    **{f"Expected `str` matching regex {pattern!r}": f"Expected {words}" for pattern, words in fields.IN_WORDS.items()},
    "Invalid UUID": "Expected a UUID",
    "Invalid RFC3339 encoded datetime": f"Expected {_A_TIME}",
    "Expected `datetime` with a timezone component": "Expected a time with an offset such as 2026-03-01T12:00:00Z",
    "Expected `datetime`,": f"Expected {_A_TIME},",
    "Expected `datetime | null`,": f"Expected {_A_TIME} or null,",
    "Expected `uuid`,": "Expected a UUID,",
    "Expected `uuid | null`,": "Expected a UUID or null,",
}
_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "channel": get_args(fields.Channel),
    "kind": get_args(inbound.Kind),
    "role": get_args(fields.Role),
    "module": get_args(actors.Module),
    "restrictions": get_args(actors.Restriction),
    "source": get_args(sends.SendSource),
    "trigger": get_args(workflow_events.Trigger),
    "action": get_args(workflow_events.Action),
    "status": get_args(receipts.ReceiptStatus),
    "type": get_args(settings_commands.FieldType),
    "scope": ("contact", "profile"),
    "as": ("sent", "failed", "retry"),
    "choices": ("survivor", "loser"),
    "mac_block_effect": ("next_cycle", "immediate"),
    "all": ("true",),
    "event": tuple(event.__struct_config__.tag for event in get_args(workflow_events.WorkflowEvent)),
}


def explain_refusal(error: Exception) -> str:
    """What was expected and where, without what was found."""
    if isinstance(error, RecursionError):
        return framing.TOO_DEEP
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return _malformed(text)
    for theirs, ours in _OURS.items():
        if text.startswith(theirs):
            return ours + text.removeprefix(theirs)
    return _unknown(text) if _ECHOED.match(text) else text


def _malformed(text: str) -> str:
    if text == "Input data was truncated":
        return "JSON is malformed: it ends too early"
    return text if text.startswith("JSON is malformed") else "JSON is malformed"


def _unknown(text: str) -> str:
    # The last ` - at ` is the decoder's own; an earlier one could be part of a quoted value.
    at = _AT.search(text)
    path = at[1] if at else "$"
    name = _LAST_NAME.search(path)
    if path == "$.command":
        return f"Unknown value - at `{path}`; expected one of those in docs/schemas/contacts.commands.json"
    allowed = _ALLOWED.get(name[1]) if name else None
    expected = f"; expected one of {', '.join(allowed)}" if allowed else ""
    return f"Unknown value - at `{path}`{expected}"

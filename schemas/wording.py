"""Decoding errors in words that an operator can act on and that repeat nothing of the record."""

import re
from typing import Final, get_args

import msgspec

from schemas import actors, commands, fields, inbound, receipts, sends, workflow_events

_AT = re.compile(r" - at `(\$[^`]*)`$")
_LAST_NAME = re.compile(r"\.(\w+)(?:\[\.\.\.\])*$")
_ECHOED = re.compile(r"^Invalid (?:enum )?value ")
_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "channel": get_args(fields.Channel),
    "kind": get_args(inbound.Kind),
    "role": get_args(fields.Role),
    "module": get_args(actors.Module),
    "restrictions": get_args(actors.Restriction),
    "source": get_args(sends.Source),
    "trigger": get_args(workflow_events.Trigger),
    "action": get_args(workflow_events.Action),
    "status": get_args(receipts.ReceiptStatus),
    "type": get_args(commands.FieldType),
    "event": tuple(event.__struct_config__.tag for event in get_args(workflow_events.WorkflowEvent)),
}


def explain(error: Exception) -> str:
    """What was expected and where, without what was found."""
    if isinstance(error, RecursionError):
        return "too many levels"
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return _malformed(text)
    if not _ECHOED.match(text):
        return text
    return _unknown(text)


def _malformed(text: str) -> str:
    if text == "Input data was truncated":
        return "JSON is malformed: it ends too early"
    return text if text.startswith("JSON is malformed") else "JSON is malformed"


def _unknown(text: str) -> str:
    # The last ` - at ` is the decoder's own; an earlier one could belong to the value it echoes.
    at = _AT.search(text)
    path = at[1] if at else "$"
    name = _LAST_NAME.search(path)
    allowed = _ALLOWED.get(name[1]) if name else None
    expected = f"; expected one of {', '.join(allowed)}" if allowed else ""
    return f"Unknown value - at `{path}`{expected}"

"""Judges a record of an input topic by its value alone, as a worker does when it reads it."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from schemas import decoding
from schemas.commands import InvalidCommand
from schemas.decoding import BadRecord
from schemas.sends import InvalidSend

Outcome = Literal["readable", "refused", "dead_letter"]


class Judgement(NamedTuple):
    """What becomes of a record. `refused`: its producer gets the answer refused, `invalid`. `error` says what was
    expected and where, never what came; None if the record is readable.
    """

    outcome: Outcome
    error: str | None = None


DECODERS: Final[Mapping[str, Callable[[bytes | None], Any]]] = {
    "messages.inbound": decoding.decode_inbound,
    "messages.outbound": decoding.decode_send,
    "messages.receipts": decoding.decode_receipt,
    "contacts.commands": decoding.decode_command,
    "workflows.events": decoding.decode_workflow_event,
}
"""How workers read the input topics, by name without prefix."""


def judged(topic: str, value: bytes | None) -> Judgement:
    """What becomes of a record with this value on an input topic.

    Raises:
        KeyError: it is no input topic.
    """
    match DECODERS[topic](value):
        case BadRecord(error=error):
            return Judgement("dead_letter", error)
        case InvalidSend(error=error) | InvalidCommand(error=error):
            return Judgement("refused", error)
        case _:
            return Judgement("readable")

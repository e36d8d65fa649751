"""Gives what a form asks for, and tells what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.asking import CommandAnswer, OtherCommand
from console.pages.page import PageRequest
from console.reading.people import Row
from console.texts import known, text
from schemas.actors import Module

MOST_COUNTED: Final = 10_000
"""Figures of `impact` go one further: more than that."""


async def given(page: PageRequest, command: str, module: Module, fields: Mapping[str, Any]) -> CommandAnswer | None:
    """The answer to a command, as `PageRequest.give`. A field that does not fit is a refusal as well."""
    try:
        return await page.give(command, module, fields)
    except OtherCommand:
        raise HTTPException(400) from None
    except ValueError as error:
        return CommandAnswer(page.given or uuid4(), command, "refused", "invalid", str(error), {})


class Question(NamedTuple):
    """What a person is asked before something is done. `lines` say what will happen. `fields` are sent along with a
    yes; `back` is where a no leads.
    """

    title: str
    lines: Sequence[str]
    button: str
    fields: Sequence[tuple[str, str]]
    back: str
    destroys: bool = False


def is_sure(page: PageRequest) -> bool:
    """Whether the person has answered the question already."""
    return page.form.get("sure") == "1"


async def ask(page: PageRequest, connection: Any, here: str, question: Question) -> Response:
    """Asks before something is done. The answer comes to the same address, with `sure`."""
    return await page.render(connection, here, template="ask", question=question)


def counted(key: str, number: int) -> str:
    """A figure of `impact` in words."""
    return text(f"{key}_many") if number > MOST_COUNTED else text(key, number)


def touched(figures: Row, kind: str) -> list[str]:
    """What a command would touch, a sentence for each figure; `kind`: `merge`, `delete` or `protect`."""
    lines = [
        counted(f"impact.{kind}_{name}", figures[name])
        for name in ("contacts", "runs", "holds", "messages")
        if figures[name] and known(f"impact.{kind}_{name}.one")
    ]
    if figures["active_contacts"]:
        lines.append(text("impact.active_contacts", abs(figures["active_contacts"])))
    return lines


def uuid_of(page: PageRequest, name: str) -> UUID:
    """A field of the form that is an id.

    Raises:
        HTTPException: 400, it is none.
    """
    try:
        return UUID(str(page.form.get(name, "")))
    except ValueError:
        raise HTTPException(400) from None

"""What is told of a command above the next page, and codes in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from console.asking import CommandAnswer
from console.pages.page import Notice
from console.pages.rendering import in_words, worded
from console.texts import known, text


def grounds(reasons: Sequence[str], named: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """What protects a profile, in words; `named`: grounds with the names of statuses and companies."""
    with_names = {one["code"] for one in named}
    words = [_ground(one["code"], one["name"] or one["of"]) for one in named]
    return words + [_ground(code, None) for code in reasons if code not in with_names]


def _ground(code: str, name: str | None) -> Markup:
    key = f"grounds.{code}" if name is not None else f"grounds.unnamed_{code}"
    return worded(key, name=name) if known(key) else Markup("{}").format(in_words("reasons", code))


def told(given: CommandAnswer | None, done: str, undo: Sequence[Any] | None = None) -> Notice:
    """`done` if the command was carried out, with the form that takes it back; else why not, or that there is no answer
    yet.
    """
    if given is None:
        return Notice("waiting", text("errors.waiting"))
    if not given.is_done:
        return Notice("failed", refusal(given))
    return Notice("done", done, undo)


def refusal(given: CommandAnswer) -> str:
    """Why a command was refused. Where a field is wrong, the detail says which."""
    key = f"refusals.{given.reason}"
    if not known(key):
        return given.detail or str(given.reason)
    return f"{text(key)} {given.detail}" if given.reason == "invalid" and given.detail else text(key)

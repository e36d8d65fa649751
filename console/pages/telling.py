"""What is told of a command above the next page."""

from console.asking import CommandAnswer
from console.pages.page import Notice
from console.texts import known, text


def told(given: CommandAnswer | None, done: str) -> Notice:
    """`done` if the command was carried out; else why not, or that there is no answer yet."""
    if given is None:
        return Notice("waiting", text("errors.waiting"))
    if not given.is_done:
        key = f"refusals.{given.reason}"
        return Notice("failed", text(key) if known(key) else given.detail or str(given.reason))
    return Notice("done", done)

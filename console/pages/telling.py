"""What is told of a command above the next page."""

from console.asking import CommandAnswer
from console.pages.page import Notice
from console.texts import known, text


def in_words(section: str, code: str | None) -> str:
    """A code by the text of its section. A code of a newer version stays as it is."""
    key = f"{section}.{code}"
    return text(key) if known(key) else str(code)


def told(given: CommandAnswer | None, done: str) -> Notice:
    """`done` if the command was carried out; else why not, or that there is no answer yet."""
    if given is None:
        return Notice("waiting", text("errors.waiting"))
    if not given.is_done:
        return Notice("failed", _refused(given))
    return Notice("done", done)


def _refused(given: CommandAnswer) -> str:
    """Where a field is wrong, the detail says which."""
    key = f"refusals.{given.reason}"
    if not known(key):
        return given.detail or str(given.reason)
    return f"{text(key)} {given.detail}" if given.reason == "invalid" and given.detail else text(key)

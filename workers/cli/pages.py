"""Shows one thing to people: labels, and beside them what there is to tell."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from workers.terminal_text import visible

Page = Mapping[str, str | Sequence[str] | None]
"""What stands beside each label: a line, or several. Without any the label is left out."""

_GAP: Final = 2
_LEAST: Final = 20  # columns for what stands beside the labels, on however narrow a terminal


def show(console: Console, page: Page) -> None:
    """Prints a page. Text of others stays beside its label, whatever it holds and however long it is."""
    shown = {label: [told] if isinstance(told, str) else told for label, told in page.items() if told}
    width = max(map(len, shown))
    room = max(console.width - width - _GAP, _LEAST)
    for label, lines in shown.items():
        parts = [
            part for line in lines for part in Text(visible(line)).wrap(console, room, overflow="fold") or [Text()]
        ]
        for number, part in enumerate(parts):
            beside = Text("" if number else label, "bold")
            beside.pad_right(width + _GAP - len(beside))
            line = beside.append_text(part)
            line.rstrip()
            console.print(line, soft_wrap=True)


def content_lines(content: Mapping[str, Any]) -> list[str]:
    """What a recipient would read, line by line, and what comes with it."""
    template = content.get("template")
    lines = [f"subject: {content['subject']}"] if content.get("subject") else []
    lines += [line for name in ("text", "html") for line in (content.get(name) or "").split("\n") if content.get(name)]
    if template:
        lines.append(
            f"template: {template['name']} ({template['language']}) {_values(template.get('parameters'))}".rstrip()
        )
    lines += [
        f"attachment: {one['kind']} {one.get('name') or ''} {one['url']}".replace("  ", " ")
        for one in content.get("attachments") or ()
    ]
    return lines


def _values(parameters: Any) -> str:
    match parameters:
        case dict():
            return ", ".join(f"{name}={value}" for name, value in parameters.items())
        case list():
            return ", ".join(map(str, parameters))
        case _:
            return ""

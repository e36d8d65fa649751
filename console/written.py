"""What people wrote, as text: without a picture loaded, a link followed or markup obeyed."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urlsplit

_HIDDEN: Final = frozenset({"script", "style", "head", "title", "template"})
_LINES: Final = frozenset(
    {"address", "article", "blockquote", "br", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol"}
    | {"p", "pre", "section", "table", "tr", "ul"}
)
_SPACES: Final = re.compile(r"[ \t\r\f\v\u00a0]*\n[ \t\r\f\v\u00a0]*")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")

_CONTENT: Final = dict.fromkeys(("text", "subject", "html", "attachments", "template"))
_FILE: Final = {"kind": "other", "url": ""} | dict.fromkeys(("mime_type", "size", "name"))


def shown(content: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The content of a message for a page: every field of `Content` is there, and `text` is that of its HTML if it has
    no other. `attachments`: with `leads`, whether a browser may be sent to their address. None: it is not kept.
    """
    whole = {"type": "other" if content else "erased", **_CONTENT, **(content or {})}
    files = [{**_FILE, **one, "leads": _leads(str(one.get("url", "")))} for one in whole["attachments"] or ()]
    return whole | {"text": whole["text"] or plain_text(whole["html"] or ""), "attachments": files}


def _leads(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its signature
        if tag == "body":
            self._hidden.clear()  # heads are often left open
        elif tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _LINES:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag in _LINES:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def plain_text(html: str) -> str:
    """The text of a page or mail: one line a block, no empty lines but one between paragraphs."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = _SPACES.sub("\n", "".join(reader.parts))
    return _EMPTY_LINES.sub("\n\n", lines).strip()

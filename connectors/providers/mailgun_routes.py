"""Mail as routes of Mailgun post it: https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/"""

import json
from hashlib import sha256
from typing import Any, Final

from connectors.events import attachment
from connectors.providers.forms import Form
from connectors.providers.mail import ParsedMail, joined, kind_of, letter_of
from connectors.providers.mime import Message, MimePart, decoded
from schemas.inbound import Attachment

_HEADERS: Final = {"from", "subject", "Message-Id", "In-Reply-To", "References", "Date", "Sender"}
FIELDS: Final = frozenset(
    {"sender", "body-plain", "body-html", "body-mime", "message-headers", "event", "attachments", "content-id-map"}
    | _HEADERS
)
_LONGEST_JSON: Final = 1_048_576
_LONGEST_TEXT: Final = 1_048_576
_MOST_FILES: Final = 500


def letter_in(form: Form) -> ParsedMail:
    """The mail that a route posts, read by Mailgun, or raw in `body-mime`."""
    envelope_from = form.last("sender")
    bare = None if envelope_from is None else envelope_from.strip().strip("<>")
    if "body-mime" in form.values:
        return letter_of(form.values["body-mime"][-1], bare)
    headers = _headers(form)
    files = [part for _, part in form.files]
    texts = {name: form.values.get(name, []) for name in ("body-plain", "body-html")}
    text, html = (joined(decoded(raw[:_LONGEST_TEXT], "utf-8") for raw in raws) for raws in texts.values())
    return ParsedMail(
        headers=headers,
        envelope_from=bare,
        text=text,
        html=html,
        attachments=_attachments(form),
        digest=sha256(repr((sorted(headers.items()), text)).encode("utf-8", "replace")).hexdigest(),
        message=Message(headers, files, cut=form.cut),
        cut=form.cut or any(len(raw) > _LONGEST_TEXT for raws in texts.values() for raw in raws),
    )


def _headers(form: Form) -> dict[str, str]:
    """The headers of a mail, with names in lower case; of several with one name the first."""
    found: dict[str, str] = {}
    listed = _json(form, "message-headers")
    for pair in listed if isinstance(listed, list) else []:
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair):
            found.setdefault(pair[0].lower(), pair[1].strip())
    for name in sorted(_HEADERS):
        value = form.last(name)
        if value is not None:
            found.setdefault(name.lower(), value.strip())
    return found


def _attachments(form: Form) -> list[Attachment]:
    """Files that came along are named and measured; those that Mailgun stores have addresses."""
    map_ = _json(form, "content-id-map")
    ids = (
        {field: cid.strip("<> ") for cid, field in map_.items() if isinstance(field, str)}
        if isinstance(map_, dict)
        else {}
    )
    found = [_file(field, ids.get(field), part) for field, part in form.files]
    stored = _json(form, "attachments")
    for file in stored[:_MOST_FILES] if isinstance(stored, list) else []:
        type_ = file.get("content-type")
        kind = kind_of(type_) if isinstance(type_, str) else "file"
        found.append(attachment(kind, file["url"], mime_type=type_, size=file.get("size"), name=file.get("name")))
    return found


def _file(field: str, cid: str | None, part: MimePart) -> Attachment:
    url = f"cid:{cid}" if cid else f"part:{field}"
    return attachment(kind_of(part.type), url, mime_type=part.type, size=part.end - part.start, name=part.filename)


def _json(form: Form, name: str) -> Any:
    try:
        return json.loads((form.last(name) or "null")[:_LONGEST_JSON])
    except (ValueError, RecursionError):
        return None

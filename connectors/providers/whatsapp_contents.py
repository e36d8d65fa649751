"""What WhatsApp messages hold, and how ours are written.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from connectors.calls import attachment_id, is_id, one_attachment
from connectors.events import attachment, content, id_of, json_object
from connectors.provider import Unsendable
from schemas.inbound import Attachment, Content, Template

_FILES: Final = {
    "image": "image",
    "sticker": "image",
    "video": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "file",
}
_MEDIA: Final = {"image": "image", "video": "video", "audio": "audio"}
_NAME: Final = "WhatsApp"


class _Said(NamedTuple):
    type: str
    text: object = None
    file: Attachment | None = None
    extra: Mapping[str, Any] = {}


def said(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    """The content of a message and what goes beside it. A person wrote something, also where its type is unknown."""
    kind = given["type"]
    what = _file(kind, given[kind]) if kind in _FILES else _READERS.get(kind, _unknown)(given)
    context = given.get("context") or {}
    files = [what.file] if what.file else []
    found = content(what.type, what.text, reply_to=context.get("id"), attachments=files)
    beside = {
        "forwarded": context.get("forwarded") or context.get("frequently_forwarded") or None,
        "product": context.get("referred_product"),
        "referral": given.get("referral"),
    }
    return found, beside | dict(what.extra)


def _file(kind: str, given: dict[str, Any]) -> _Said:
    """A file by its URL, or by its id alone. The URL lives for minutes, so the id is kept as well."""
    media_id = id_of(given["id"])
    url = given.get("url")
    file = attachment(
        _FILES[kind],
        url or f"provider:{media_id}",
        mime_type=given.get("mime_type"),
        size=given.get("file_size"),
        name=given.get("filename"),
    )
    return _Said(_FILES[kind], given.get("caption"), file, {"media_id": media_id} if url else {})


def _text(given: dict[str, Any]) -> _Said:
    return _Said("text", given["text"]["body"])


def _location(given: dict[str, Any]) -> _Said:
    place = given["location"]
    text = place.get("name") or place.get("address") or f"{place['latitude']}, {place['longitude']}"
    extra = {
        "latitude": place["latitude"],
        "longitude": place["longitude"],
        "title": place.get("name"),
        "address": place.get("address"),
    }
    return _Said(
        "location", text, extra={"location": {name: value for name, value in extra.items() if value is not None}}
    )


def _contacts(given: dict[str, Any]) -> _Said:
    cards = []
    for card in given["contacts"]:
        phones = [phone.get("phone") or phone.get("wa_id") for phone in card.get("phones") or []]
        cards.append({"name": card["name"].get("formatted_name"), "phones": [p for p in phones if p]})
    lines = [" ".join(str(part) for part in (card["name"], *card["phones"]) if part) for card in cards]
    return _Said("other", "\n".join(lines), extra={"contacts": cards})


def _button(given: dict[str, Any]) -> _Said:
    """A quick reply under a template."""
    return _Said("text", given["button"]["text"], extra={"button": given["button"].get("payload")})


def _interactive(given: dict[str, Any]) -> _Said:
    """A pressed button, a chosen row of a list, or a filled form (`nfm_reply`)."""
    answered = given["interactive"]
    kind = answered["type"]
    if kind in {"button_reply", "list_reply"}:
        chosen = answered[kind]
        return _Said("text", chosen["title"], extra={"button": chosen["id"], "description": chosen.get("description")})
    if kind == "nfm_reply":
        return _Said("text", answered[kind].get("body"), extra={"form": _form(answered[kind].get("response_json"))})
    return _Said("other", extra={"type": kind})


def _form(given: object) -> object:
    """The fields of a form; the text itself if it holds none."""
    try:
        return json_object(str(given or "").encode(errors="replace"))
    except ValueError:
        return given


def _order(given: dict[str, Any]) -> _Said:
    return _Said("other", given["order"].get("text"), extra={"order": given["order"]})


def _unknown(given: dict[str, Any]) -> _Said:
    more = given.get("unsupported")
    return _Said("other", extra={"type": (more.get("type") if isinstance(more, dict) else None) or given["type"]})


_READERS: Final[dict[str, Callable[[dict[str, Any]], _Said]]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "order": _order,
}


def body_of(wanted: Content) -> dict[str, Any] | Unsendable:
    """The `type` of a message of ours, and the object of this type."""
    file = one_attachment(wanted, _NAME)
    if isinstance(file, Unsendable):
        return file
    if wanted.template is not None:
        return _template(wanted.template, file)
    if file is None:
        if not wanted.text:
            return Unsendable("unsupported_content", "there is neither text nor file")
        return {"type": "text", "text": {"body": wanted.text}}
    kind, media = _media(file)
    if wanted.text:
        if kind == "audio":
            return Unsendable("unsupported_content", "WhatsApp carries no text with an audio file")
        media["caption"] = wanted.text
    return {"type": kind, kind: media}


def _media(file: Attachment) -> tuple[str, dict[str, Any]]:
    kind = _MEDIA.get(file.kind, "document")
    media = {"id" if is_id(file) else "link": attachment_id(file)}
    if kind == "document" and file.name:
        media["filename"] = file.name
    return kind, media


def _template(template: Template, file: Attachment | None) -> dict[str, Any] | Unsendable:
    """A list of parameters fills the gaps of the body in their order, an object those with these names. A file is the
    header.
    """
    given = template.parameters or []
    named = given.items() if isinstance(given, dict) else [(None, value) for value in given]
    parameters = []
    for name, value in named:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return Unsendable("unsupported_content", "a parameter of a template must be a text or a number")
        parameters.append(
            {"type": "text"} | ({"parameter_name": name} if name is not None else {}) | {"text": str(value)}
        )
    components: list[dict[str, Any]] = []
    if file is not None:
        kind, media = _media(file)
        components.append({"type": "header", "parameters": [{"type": kind, kind: media}]})
    if parameters:
        components.append({"type": "body", "parameters": parameters})
    written: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    return {"type": "template", "template": written | ({"components": components} if components else {})}

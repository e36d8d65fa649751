"""A change of a topic's schema keeps what the last release promised; what breaks it is found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.json_schemas import schema
from schemas.topics import TOPICS
from tests.schemas.samples import ROOT
from tools.compatibility import breaches, main

[RELEASED] = (ROOT / "docs" / "released").iterdir()
Change = Callable[[dict[str, Any]], object]


def test_nothing_breaks_the_last_release() -> None:
    files = sorted(RELEASED.glob("*.json"))
    found = [
        breach
        for file in files
        for breach in breaches(
            json.loads(file.read_text(encoding="utf-8")), schema(TOPICS[file.stem]), of_input=_is_input(file.stem)
        )
    ]

    assert files
    assert not found, "\n".join(found)


@pytest.mark.parametrize("topic", TOPICS)
def test_no_change_breaks_nothing(topic: str) -> None:
    assert breaches(schema(TOPICS[topic]), schema(TOPICS[topic]), of_input=_is_input(topic)) == []


def _is_input(topic: str) -> bool:
    return TOPICS[topic].direction == "in"


def struct(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document["$defs"][name]


def put(name: str, field: str, value: Any) -> Change:
    return lambda document: document["$defs"][name]["properties"].update({field: value})


def edit(name: str, field: str, **values: Any) -> Change:
    return lambda document: document["$defs"][name]["properties"][field].update(values)


def drop(name: str, field: str, *keywords: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        for keyword in keywords:
            del document["$defs"][name]["properties"][field][keyword]

    return change


def without(name: str, field: str) -> Change:
    return lambda document: document["$defs"][name]["properties"].pop(field)


def required(name: str, field: str) -> Change:
    return lambda document: document["$defs"][name]["required"].append(field)


def not_required(name: str, field: str) -> Change:
    return lambda document: document["$defs"][name]["required"].remove(field)


def word(name: str, field: str, *, more: str = "", less: str = "") -> Change:
    def change(document: dict[str, Any]) -> None:
        found = document["$defs"][name]["properties"][field]
        found["enum"] = [*(w for w in found["enum"] if w != less), *([more] if more else [])]

    return change


def alternatives(name: str, field: str, *kinds: Any) -> Change:
    return lambda document: document["$defs"][name]["properties"][field].update(anyOf=list(kinds))


def kind_of_channel(document: dict[str, Any], added: str, *, scoped: bool) -> None:
    identity = document["$defs"]["Identity"]
    if added not in identity["properties"]["channel"]["enum"]:
        identity["properties"]["channel"]["enum"].append(added)
    if scoped:
        identity["allOf"][0]["if"]["properties"]["channel"]["enum"].append(added)


def a_setting_more(document: dict[str, Any]) -> None:
    settings = document["$defs"]["WorkspaceSettings"]
    settings["properties"]["colour"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    settings["allOf"][0]["anyOf"].append({"required": ["colour"]})


def a_contact_field_more(document: dict[str, Any]) -> None:
    rule = document["$defs"]["UpdateContact"]["allOf"][-1]["properties"]["set"]
    rule["properties"]["title"] = {"type": ["string", "null"], "maxLength": 10}
    rule["propertyNames"]["anyOf"][0]["enum"].append("title")


def a_contact_field_less(document: dict[str, Any]) -> None:
    rule = document["$defs"]["UpdateContact"]["allOf"][-1]["properties"]["set"]
    rule["propertyNames"]["anyOf"][0]["enum"].remove("phone")


def a_command_more(document: dict[str, Any]) -> None:
    added = copy.deepcopy(document["$defs"]["AddTag"])
    added["title"], added["properties"]["command"]["enum"] = "PaintTag", ["paint_tag"]
    document["$defs"]["PaintTag"] = added
    document["anyOf"].append({"$ref": "#/$defs/PaintTag"})


def a_command_less(document: dict[str, Any]) -> None:
    document["anyOf"].remove({"$ref": "#/$defs/AddTag"})


def a_kind_of_output_more(document: dict[str, Any]) -> None:
    document["$defs"]["Revised"] = {"title": "Revised", "type": "object", "properties": {}, "required": []}
    document["anyOf"].append({"$ref": "#/$defs/Revised"})


def a_rule_more(document: dict[str, Any]) -> None:
    document["$defs"]["DeliveryReceipt"]["allOf"].append({"required": ["attempt"]})


def a_rule_less(document: dict[str, Any]) -> None:
    document["$defs"]["DeliveryReceipt"]["allOf"].clear()


NULL: dict[str, Any] = {"type": "null"}
TEXT: dict[str, Any] = {"type": "string", "maxLength": 128, "minLength": 1}

BREAKS: dict[str, tuple[str, Change, str]] = {
    # inputs: what producers write today must fit
    "a field of an input is gone": ("messages.receipts", without("DeliveryReceipt", "attempt"), "field is gone"),
    "a field is required now": ("messages.receipts", required("DeliveryReceipt", "send_id"), "is required now"),
    "an input takes another type": (
        "messages.receipts",
        edit("DeliveryReceipt", "channel_id", type="integer"),
        "string",
    ),
    "an input takes null no more": ("messages.receipts", alternatives("DeliveryReceipt", "attempt", TEXT), "null"),
    "an input takes fewer words": ("messages.receipts", word("DeliveryReceipt", "status", less="read"), "is gone"),
    "an input takes shorter texts": ("messages.receipts", edit("DeliveryReceipt", "channel_id", maxLength=64), "64"),
    "an input wants longer texts": ("messages.receipts", edit("DeliveryReceipt", "channel_id", minLength=2), "2"),
    "free text becomes a list": ("messages.receipts", edit("DeliveryReceipt", "channel_id", enum=["a"]), "only listed"),
    "another pattern": ("messages.receipts", edit("DeliveryReceipt", "workspace_id", pattern="^a$"), "`pattern`"),
    "another default": ("messages.receipts", edit("ReceiptError", "permanent", default=True), "`default` changed"),
    "an input refuses unknown fields": (
        "messages.receipts",
        lambda document: document["$defs"]["DeliveryReceipt"].update(additionalProperties=False),
        "additionalProperties",
    ),
    "a rule between fields is new": ("messages.receipts", a_rule_more, "rule between fields"),
    "a command is gone": ("contacts.commands", a_command_less, "AddTag is no longer taken"),
    "a name in `set` is gone": ("contacts.commands", a_contact_field_less, "rule between fields"),
    "a kind that was free is scoped now": (
        "contacts.commands",
        lambda document: kind_of_channel(document, "sms", scoped=True),
        "rule between fields",
    ),
    # outputs: who read the old records must be able to read the new ones
    "a field of an output is gone": ("sends.status", without("SendStatus", "reason"), "field is gone"),
    "a field of an output may be missing": ("sends.status", not_required("SendStatus", "at"), "may be missing"),
    "an output has another type": ("sends.status", edit("SendStatus", "revision", type="string"), "string is new"),
    "an output says null now": (
        "sends.status",
        lambda document: document["$defs"]["SendStatus"]["properties"].update(
            workspace_id={"anyOf": [{"type": "string"}, NULL]}
        ),
        "null is new",
    ),
    "an output lost a word": ("sends.status", word("SendStatus", "status", less="held"), "is gone"),
    "an output has texts without a list": ("sends.status", drop("SendStatus", "status", "enum"), "no longer listed"),
    "another kind of output": ("messages.revised", a_kind_of_output_more, "Revised is new"),
}

HARMLESS: dict[str, tuple[str, Change]] = {
    "an input takes a field more": ("messages.receipts", put("DeliveryReceipt", "price", {"anyOf": [TEXT, NULL]})),
    "an input takes a word more": ("messages.receipts", word("DeliveryReceipt", "status", more="bounced")),
    "an input takes longer texts": ("messages.receipts", edit("DeliveryReceipt", "channel_id", maxLength=256)),
    "an input takes any text": ("messages.receipts", drop("DeliveryReceipt", "channel_id", "maxLength", "minLength")),
    "a field is not required any more": ("messages.receipts", not_required("DeliveryReceipt", "at")),
    "an input takes null": (
        "messages.receipts",
        put("DeliveryReceipt", "channel_id", {"anyOf": [TEXT, NULL]}),
    ),
    "a rule between fields is gone": ("messages.receipts", a_rule_less),
    "a command more": ("contacts.commands", a_command_more),
    "a setting more": ("contacts.commands", a_setting_more),
    "a name in `set` more": ("contacts.commands", a_contact_field_more),
    "a kind of channel more": ("contacts.commands", lambda document: kind_of_channel(document, "fax", scoped=True)),
    "an output has a field more": ("sends.status", put("SendStatus", "price", {"type": "string"})),
    "an output has a word more": ("sends.status", word("SendStatus", "status", more="paused")),
    "an output never says null": (
        "sends.status",
        lambda document: document["$defs"]["SendStatus"]["properties"].update(actor={"type": "string"}),
    ),
    "another description": ("sends.status", lambda document: document.update(description="New words.")),
}


def changed(topic: str, change: Change) -> list[str]:
    old = schema(TOPICS[topic])
    new = copy.deepcopy(old)
    change(new)
    assert new != old
    return breaches(old, new, of_input=_is_input(topic))


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_is_found(name: str) -> None:
    topic, change, said = BREAKS[name]
    found = changed(topic, change)

    assert any(said in breach for breach in found), found
    assert all(breach.startswith(topic) for breach in found)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_harms_nobody_is_allowed(name: str) -> None:
    assert changed(*HARMLESS[name]) == []


def test_the_command_names_topics_that_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["compatibility", str(RELEASED), str(tmp_path)])
    assert main() == 1
    assert "sends.status: the topic is gone\n" in capsys.readouterr().out

    monkeypatch.setattr("sys.argv", ["compatibility", str(RELEASED), str(ROOT / "docs" / "schemas")])
    assert main() == 0

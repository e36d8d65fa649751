"""Records that nobody can understand: each must become a dead letter and hold nothing up."""

import json

from tools.day.cast import WORKSPACES
from tools.day.stage import CONFIGURED, END, Stage
from tools.day.tape import COMMANDS, EVENTS, HOUR, INBOUND, OUTBOUND, RECEIPTS, Json, stamp

_NOON = stamp(12 * HOUR)
_SAMPLES: dict[str, Json] = {
    INBOUND: {
        "workspace_id": "nordwind", "channel_id": "wa-main", "channel": "whatsapp", "provider_message_id": "wamid.bad",
        "sender": {"address": "4915100000000", "name": "Ute"}, "sent_at": _NOON, "received_at": _NOON,
        "kind": "message", "content": {"type": "text", "text": "Hallo"},
    },
    OUTBOUND: {
        "send_id": "0d9ad6ae-5a70-4b5a-9d3c-0f4a6c6f9b11", "workspace_id": "nordwind", "channel_id": "wa-main",
        "channel": "whatsapp", "to": {"address": "+4915100000000"}, "content": {"type": "text", "text": "Hallo"},
        "requested_at": _NOON, "requested_by": {"id": "ana.agent", "role": "agent"}, "source": "inbox",
    },
    RECEIPTS: {
        "workspace_id": "nordwind", "channel_id": "wa-main", "send_id": "0d9ad6ae-5a70-4b5a-9d3c-0f4a6c6f9b11",
        "status": "sent", "at": _NOON,
    },
    COMMANDS: {
        "command_id": "5cf4ba0b-5e0f-4a0e-8a44-5f6e0d1c2b3a", "workspace_id": "nordwind", "command": "add_tag",
        "actor": {"id": "ana.agent", "role": "agent", "module": "inbox"}, "issued_at": _NOON,
        "identity": {"channel": "whatsapp", "address": "+4915100000000"}, "tag": "x",
    },
    EVENTS: {
        "workspace_id": "nordwind", "at": _NOON, "event": "run_finished", "run_id": "run-bad", "outcome": "completed",
    },
}  # fmt: skip

# What makes a copy of the sample impossible, field by field; None takes the field away.
_WRONG: dict[str, dict[str, Json]] = {
    INBOUND: {
        "missing workspace_id": {"workspace_id": None},
        "impossible workspace_id": {"workspace_id": "nord wind"},
        "unknown channel": {"channel": "fax"},
        "unknown kind": {"kind": "typing"},
        "address of a wrong type": {"sender": {"address": 4915100000000}},
        "empty provider id": {"provider_message_id": ""},
        "provider id too long": {"provider_message_id": "x" * 513},
        "time without offset": {"received_at": "2026-03-10T12:00:00"},
        "impossible time": {"received_at": "2026-02-30T12:00:00Z"},
        "content is a text": {"content": "Hallo"},
        "extra too large": {"extra": {"note": "y" * 8200}},
    },
    OUTBOUND: {
        # one whose ids can be read is refused, and no garbage
        "missing workspace_id": {"workspace_id": None},
        "missing send_id": {"send_id": None},
        "send_id is no UUID": {"send_id": "send-1"},
        "impossible workspace_id": {"workspace_id": "nord wind"},
    },
    RECEIPTS: {
        "unknown status": {"status": "seen"},
        "neither id": {"send_id": None},
        "time is a number": {"at": 1773144000},
    },
    COMMANDS: {
        "unknown command": {"command": "promote_contact"},
        "no actor": {"actor": None},
        "unknown role": {"actor": {"id": "x", "role": "intern", "module": "inbox"}},
        "command_id is no UUID": {"command_id": "42"},
    },
    EVENTS: {
        "unknown event": {"event": "run_paused"},
        "missing run_id": {"run_id": None},
        "unknown action": {"event": "step_requested", "step_id": "s1", "action": "teleport"},
    },
}


def garbage(stage: Stage) -> None:
    for topic, sample in _SAMPLES.items():
        whole = json.dumps(sample, ensure_ascii=False)
        for defect, change in _WRONG[topic].items():
            broken = {name: value for name, value in (sample | change).items() if value is not None}
            _write(stage, topic, json.dumps(broken, ensure_ascii=False).encode(), defect)
        _write(stage, topic, whole[: len(whole) // 2].encode(), "cut off")
        _write(stage, topic, None, "null value")
        _write(stage, topic, whole.replace("nordwind", "nord\\u0000wind").encode(), "NUL")
    _bytes(stage)
    _oversized(stage)


def _bytes(stage: Stage) -> None:
    whole = json.dumps(_SAMPLES[INBOUND])
    deep = whole[:-1] + ', "extra": ' + '{"a":' * 40 + "1" + "}" * 41
    for data, defect in (
        (whole.replace("Ute", "J\u00fcrgen").encode("latin-1"), "bad UTF-8"),
        (whole.replace("Ute", "\\ud83d").encode(), "lone surrogate"),
        (whole.replace("Ute", "\\udc4d\\ud83d").encode(), "surrogates in the wrong order"),
        (deep.encode(), "too many levels"),
        (f"[{whole}]".encode(), "a list"),
        (b"null", "JSON null"),
        (b"", "empty value"),
        (b"<xml>Hallo</xml>", "no JSON"),
        (b"\x00\x00\x00\x00\x07\x0cHallo", "Avro"),
    ):
        _write(stage, INBOUND, data, defect)


def _oversized(stage: Stage) -> None:
    head, tail = json.dumps(_SAMPLES[INBOUND], ensure_ascii=False).split("Hallo")
    for times, defect in ((34_000, "above 256 KiB"), (80_000, "above 512 KiB")):
        repeat = {"head": head, "unit": "Hallo 👋 ", "times": times, "tail": tail}
        stage.tape.seen(f"garbage: {defect}")
        stage.tape.oversized(_moment(stage), INBOUND, "nordwind:whatsapp:4915100000000", repeat, defect)


def _write(stage: Stage, topic: str, data: bytes | None, defect: str) -> None:
    workspace = stage.dice.pick(WORKSPACES)
    key = None if data is not None and stage.dice.chance(0.2) else f"{workspace.id}:{stage.dice.digits(6)}"
    stage.tape.seen(f"garbage: {defect}")
    stage.tape.defective(_moment(stage), topic, key, data, defect)


def _moment(stage: Stage) -> int:
    return stage.moment(CONFIGURED, END)

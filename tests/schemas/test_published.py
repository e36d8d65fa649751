"""The published schemas say what the code accepts."""

import json

import pytest

from schemas.json_schemas import documents
from schemas.topics import INPUTS, OUTPUTS, TOPICS
from tests.acceptance.schema import breaches
from tests.schemas.samples import SCHEMAS, golden

CONTENT_TOPICS = {
    "messages.inbound",
    "messages.outbound",
    "messages.accepted",
    "messages.revised",
    "sends.dispatch",
    "contacts.commands",
    "dead.letters",
}


@pytest.mark.parametrize("name", documents())
def test_published_schema_is_the_one_the_registry_gives(name: str) -> None:
    assert (SCHEMAS / name).read_text(encoding="utf-8") == documents()[name], "run: python -m schemas"


def test_nothing_else_is_published() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == set(documents())


@pytest.mark.parametrize("text", documents().values(), ids=documents().keys())
def test_every_reference_in_a_schema_leads_somewhere(text: str) -> None:
    document = json.loads(text)
    named = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}

    assert named <= set(document["$defs"])


def test_inputs_take_a_mebibyte() -> None:
    for topic in INPUTS:
        assert topic.config()["max.message.bytes"] == "1048576"


def test_every_topic_goes_by_the_brokers_clock() -> None:
    assert {topic.config()["message.timestamp.type"] for topic in TOPICS.values()} == {"LogAppendTime"}


def test_content_is_kept_seven_days() -> None:
    for name in CONTENT_TOPICS:
        assert TOPICS[name].config()["retention.ms"] == "604800000"
        assert TOPICS[name].config()["cleanup.policy"] == "delete"


def test_compacted_topics_are_those_of_contacts_and_counts() -> None:
    compacted = {topic.name for topic in TOPICS.values() if topic.cleanup_policy == "compact"}

    assert compacted == {"contacts.changes", "billing.mac"}
    assert all("retention.ms" not in TOPICS[name].config() for name in compacted)
    assert {TOPICS[name].config()["max.compaction.lag.ms"] for name in compacted} == {"86400000"}


def test_dead_letters_take_two_mebibytes() -> None:
    assert TOPICS["dead.letters"].max_message_bytes == 2 * 1024 * 1024


def test_names_are_unique() -> None:
    assert len(TOPICS) == len(INPUTS) + len(OUTPUTS) == 16


@pytest.mark.parametrize("topic", [topic.name for topic in OUTPUTS])
def test_golden_outputs_fit_and_every_field_is_required(topic: str) -> None:
    value = golden(topic)
    assert breaches(topic, value) == []

    for name in value if len(TOPICS[topic].values) == 1 else ():
        assert breaches(topic, {key: item for key, item in value.items() if key != name}), name

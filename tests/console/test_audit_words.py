"""What the audit log says of commands, their targets and what they changed."""

from console.pages.audit import changes, command, targets
from workers.rules.permissions import TABLE


def test_every_command_has_words() -> None:
    assert {name for name in TABLE if command(name) == name.replace("_", " ") and "_" in name} == set()
    assert command("of_a_newer_version") == "of a newer version"


def test_a_target_that_was_cut_off_stays_text() -> None:
    [one] = targets('{"contact_ids":["0d3f')
    assert (one.id, one.contact, one.path) == ('{"contact_ids":["0d3f', None, None)
    assert list(targets(None)) == []
    assert len(list(targets('{"contact_ids":["a","b","c","d","e","f","g"]}'))) == 6


def test_only_what_changed_is_told() -> None:
    changed = {"runs_halted": 2, "holds_cancelled": 0, "profile_created": False, "tag": None, "fields": ["a", "b"]}
    assert changes(changed) == ["runs halted: 2", "profile created: no", "tag: –", "fields: a, b"]
    assert changes(None) == []

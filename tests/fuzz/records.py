"""Records that a program writes by mistake, or to do harm: as many as asked for, the same ones for the same seed.

Each starts from a good record of its topic. Some stay good, so that fuzzing reaches what happens after decoding.
"""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tests.schemas.samples import raw, valid_inputs
from tests.support.batches import record

ODD_JSON: Final[tuple[str, ...]] = (
    "null",
    "true",
    "-1",
    "0",
    "1.0",
    "2.5",
    "1e400",
    "-0.0",
    "9" * 40,
    "NaN",
    '""',
    '" "',
    '"\\u0000"',
    '"\\ud800"',
    '"\\u202e\\u200b"',
    '"' + "x" * 5_000 + '"',
    '"\U0001f9d1\u200d\U0001f9af"',
    '"0001-01-01T00:00:00Z"',
    '"2026-12-31T23:59:60Z"',
    '"2026-02-30T00:00:00Z"',
    '"9999-12-31T23:59:59-23:59"',
    '"2026-01-01"',
    '"00000000-0000-0000-0000-000000000000"',
    "[]",
    "{}",
    "[" * 40 + "]" * 40,
    "[" + "1," * 500 + "1]",
    '{"a": {"a": 1}}',
)
ODD_KEYS: Final[tuple[bytes | None, ...]] = (None, b"", b":", b"\xff\xfe", b"\0", b"a:" * 5_000, "ключ:ä".encode())
ODD_TIMES: Final = (
    -1,
    0,
    1,
    1_795_951_200_000,
    1_795_951_200_000_000,
    1_795_951_200_000_000_000,
    253_402_300_800_000,
    2**62,
)
ODD_HEADERS: Final[tuple[tuple[bytes, bytes | None], ...]] = (
    (b"", b""),
    (b"x-\xff\xfe", b"1"),
    (b"\xc0\xaf", None),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (b"traceparent", b"\xff" * 400),
    (b"traceparent", None),
    (b"content-type", b"application/json"),
    (b"ce_id", b"\0"),
    (b"error", b"mine"),
    (b"source_offset", b"-1"),
    (b"sluice_dead_letter_id", b"1"),
    (b"n" * 3_000, b"v" * 3_000),
)


class Fuzzed(NamedTuple):
    """One record; names of headers are bytes, as on the wire. `timestamp` is in milliseconds."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...]
    timestamp: int


def fuzzed(count: int, seed: int) -> Iterator[Fuzzed]:
    """`count` records."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    samples: dict[str, list[tuple[bytes, list[tuple[Any, ...]]]]] = {}
    for topic, value in valid_inputs():
        samples.setdefault(topic, []).append((raw(value), _paths(value)))
    for _ in range(count):
        topic = dice.choice(list(samples))
        good, paths = dice.choice(samples[topic])
        yield Fuzzed(topic, _key(dice), _value(good, paths, dice), _headers(dice), _time(dice))


def wire_record(delta: int, fuzzed_one: Fuzzed, *, base_ms: int = 0) -> bytes:
    """As it stands in a batch whose times count from `base_ms`."""
    _, key, value, headers, timestamp = fuzzed_one
    return record(delta, value, key=key, headers=headers, since_ms=timestamp - base_ms)


def _value(good: bytes, paths: Sequence[tuple[Any, ...]], dice: random.Random) -> bytes | None:
    match dice.randrange(10):
        case 0:
            return good
        case 1:
            return dice.choice([None, b"", b"null", b"[]", b"{}", dice.randbytes(dice.randrange(1, 300))])
        case 2 | 3:
            return _damaged(good, dice)
        case _:
            return _odd(good, [dice.choice(paths) for _ in range(dice.choice([1, 1, 1, 3]))], dice)


def _damaged(whole: bytes, dice: random.Random) -> bytes:
    """Bytes taken out, put in, or written twice."""
    for _ in range(dice.randrange(1, 4)):
        start = dice.randrange(len(whole) + 1)
        end = min(len(whole), start + dice.choice([0, 1, 1, 2, 7, 60]))
        between = dice.choice([b"", dice.randbytes(dice.randrange(1, 6)), whole[start:end] * 2, b'"', b"}", b"\\u"])
        whole = whole[:start] + between + whole[end:]
    return whole


def _odd(good: bytes, paths: Sequence[tuple[Any, ...]], dice: random.Random) -> bytes:
    """Fields replaced, taken away, or added."""
    value: Any = json.loads(good)
    marks: list[tuple[str, str]] = []
    for path in paths:
        place = value
        for step in path[:-1]:
            place = place[step] if isinstance(place, dict | list) and _holds(place, step) else {}
        if not isinstance(place, dict | list) or not _holds(place, path[-1]):
            continue
        if dice.randrange(4) == 0 and isinstance(place, dict):
            del place[path[-1]]
            continue
        marks.append((f"\ue000{len(marks)}\ue000", dice.choice(ODD_JSON)))
        place[path[-1]] = marks[-1][0]
    text = json.dumps(value, ensure_ascii=dice.random() < 0.5)
    for mark, odd in marks:
        text = text.replace(json.dumps(mark), odd).replace(f'"{mark}"', odd)
    return text.encode()


def _holds(place: Any, step: Any) -> bool:
    return step in place if isinstance(place, dict) else isinstance(step, int) and step < len(place)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path] * bool(path) + [found for key, item in items for found in _paths(item, (*path, key))]


def _key(dice: random.Random) -> bytes | None:
    return dice.choice(ODD_KEYS) if dice.randrange(3) == 0 else b"acme:whatsapp:%d" % dice.randrange(100)


def _headers(dice: random.Random) -> tuple[tuple[bytes, bytes | None], ...]:
    if dice.randrange(3):
        return ()
    count = 300 if dice.randrange(200) == 0 else dice.randrange(1, 5)
    return tuple(dice.choice(ODD_HEADERS) for _ in range(count))


def _time(dice: random.Random) -> int:
    return dice.choice(ODD_TIMES) if dice.randrange(3) == 0 else 1_795_951_200_000 + dice.randrange(10**9)

"""A second, lenient reading of what the strict decoder refused: other notations of numbers and times.

- A number without a fraction is an integer: `48213.0`, `1e3`.
- A leap second is the next second: `2016-12-31T23:59:60Z`.
- A value marked `FORGIVEN` counts as missing if it does not fit: a time that cannot be read, a text that is too long.

`mender` walks a type once and gives a function over JSON texts. Everything else stays byte for byte, and the strict
decoder judges the result: no rule of a record is here. Only records that were refused for such a value come here, and
the cost grows only with their size.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from operator import is_not
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, inspect

from schemas import limits

FORGIVEN: Final = {"unreadable": "missing"}
"""`Meta(extra=FORGIVEN)` on an optional time or text: a wrong clock or a very long name must not lose the record."""

_Mend = Callable[[Raw], Raw | None]
"""A value in the usual notation; None if it counts as missing. A value without a change comes back as it is."""

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_ITEMS: Final = msgspec.json.Decoder(list[Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_MOMENT: Final = msgspec.json.Decoder(datetime)
_OPTIONAL_MOMENT: Final = msgspec.json.Decoder(Annotated[datetime, Meta(tz=True)] | None)
_ENCODER: Final = msgspec.json.Encoder()

_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_INTEGER: Final = 40  # in digits, more than any limit here: a huge exponent would make a huge number
_MOST_ITEMS: Final = limits.MAX_VALUE_BYTES // len('{"kind":"","url":""},')
"""No record can hold more attachments; items of longer lists are not converted."""
_LEAP_SECOND: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:)60((?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2}))"
)


def may_be_mended(refused: msgspec.ValidationError) -> bool:
    """Whether a second reading can help. Decoding ends at the first value that does not fit; if that one stays, a
    second reading ends there as well.
    """
    error = str(refused)
    return "got `float`" in error or "datetime" in error or "`str` of length <=" in error


def mender(kind: Any) -> Callable[[bytes], Raw]:
    """A function that converts the JSON text of such a value to the usual notation. It raises MsgspecError if
    malformed.
    """
    mend = _mender(inspect.type_info(kind))

    def mended(raw: bytes) -> Raw:
        given = Raw(raw.strip())
        return (mend(given) if mend is not None else None) or given

    return mended


def _mender(kind: inspect.Type) -> _Mend | None:
    mend: _Mend | None = None
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            mend = _forgiving(inner) if extra == FORGIVEN else _mender(inner)
        case inspect.IntType():
            mend = _integer
        case inspect.DateTimeType():
            mend = _moment
        case inspect.StructType():
            mend = _struct(kind)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            mend = _list(_mender(item))
        case inspect.UnionType(types=members):
            mend = _union(members)
    return mend


def _struct(kind: inspect.StructType) -> _Mend | None:
    menders = {field.encode_name: mend for field in kind.fields if (mend := _mender(field.type)) is not None}
    if not menders:
        return None

    def mend_fields(given: Raw) -> Raw:
        if not _begins(given, b"{"):
            return given
        fields: dict[str, Raw | None] = {**_FIELDS.decode(given)}
        mended = {
            name: value
            for name, mend in menders.items()
            if (before := fields.get(name)) is not None and (value := mend(before)) is not before
        }
        if not mended:
            return given
        return Raw(_ENCODER.encode({name: value for name, value in (fields | mended).items() if value is not None}))

    return mend_fields


def _list(mend: _Mend | None) -> _Mend | None:
    if mend is None:
        return None

    def mend_items(given: Raw) -> Raw:
        if not _begins(given, b"["):
            return given
        items = _ITEMS.decode(given)
        if len(items) > _MOST_ITEMS:
            return given
        mended = [mend(item) for item in items]
        return Raw(_ENCODER.encode(mended)) if any(map(is_not, mended, items)) else given

    return mend_items


def _union(members: Sequence[inspect.Type]) -> _Mend | None:
    tagged = {m.tag: _struct(m) for m in members if isinstance(m, inspect.StructType) and m.tag is not None}
    if tagged:
        [tag_field] = {m.tag_field for m in members if isinstance(m, inspect.StructType)}
        return _tagged(str(tag_field), tagged)
    # If a float fits as well, a number without a fraction stays as it was written.
    any_number = any(isinstance(m, inspect.FloatType) for m in members)
    menders = [
        mend for m in members if not (any_number and isinstance(m, inspect.IntType)) if (mend := _mender(m)) is not None
    ]
    return _each_in_turn(menders) if menders else None


def _tagged(tag_field: str, menders: Mapping[Any, _Mend | None]) -> _Mend:
    def mend_by_tag(given: Raw) -> Raw | None:
        tag = _FIELDS.decode(given).get(tag_field) if _begins(given, b"{") else None
        if tag is None or not _begins(tag, b'"'):
            return given
        mend = menders.get(_TEXT.decode(tag))
        return mend(given) if mend is not None else given

    return mend_by_tag


def _each_in_turn(menders: Sequence[_Mend]) -> _Mend:
    def mend_any(given: Raw) -> Raw | None:
        for mend in menders:
            if (value := mend(given)) is not given:
                return value
        return given

    return mend_any


def _integer(given: Raw) -> Raw:
    text = bytes(given)
    if text.isdigit() or not _NUMBER.fullmatch(text):
        return given
    try:
        number = Decimal(text.decode())
    except InvalidOperation:  # an exponent beyond any
        return given
    if number.adjusted() >= _LONGEST_INTEGER or int(number) != number:
        return given
    return Raw(b"%d" % int(number))


def _moment(given: Raw) -> Raw:
    text = _TEXT.decode(given) if _begins(given, b'"') else ""
    leap_second = _LEAP_SECOND.fullmatch(text)
    if leap_second is None:
        return given
    try:
        second_before = _MOMENT.decode(_ENCODER.encode(f"{leap_second[1]}59{leap_second[2]}"))
        return Raw(_ENCODER.encode(second_before + timedelta(seconds=1)))
    except (msgspec.ValidationError, OverflowError):
        return given


def _forgiving(kind: inspect.Type) -> _Mend:
    match kind:
        case inspect.UnionType(types=(inspect.StrType(max_length=int(longest)), inspect.NoneType())):
            return lambda given: None if _begins(given, b'"') and len(_TEXT.decode(given)) > longest else given
        case inspect.UnionType(types=(inspect.DateTimeType(), inspect.NoneType())):
            return _moment_or_missing
        case _:
            raise TypeError("expected an optional moment, or an optional text with a greatest length")


def _moment_or_missing(given: Raw) -> Raw | None:
    moment = _moment(given)
    try:
        _OPTIONAL_MOMENT.decode(moment)
    except msgspec.ValidationError:
        return None
    return moment


def _begins(given: Raw, first: bytes) -> bool:
    return memoryview(given)[:1] == first

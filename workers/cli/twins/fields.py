"""The fields of a command as options of the command line, made from its struct."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, Final, Literal

import msgspec
import typer
from msgspec import inspect

from schemas.actors import CommandBase, Identity
from schemas.fields import Channel
from workers.cli import terminal
from workers.cli.twins.wording import HELP
from workers.errors import SettingsError

Values = Mapping[str, Any]
"""What Typer read, by the names of parameters."""

NOT_GIVEN: Final = msgspec.UNSET
_HEAD: Final = frozenset(CommandBase.__struct_fields__)
_PAIR: Final = re.compile(r"(?P<name>.+?)(?P<json>:?)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """One field of a command. `name` is the one it has on the topic, `told` is what errors call it.

    `read` gives the value as it travels, or `NOT_GIVEN`.
    """

    name: str
    told: str
    parameters: tuple[Parameter, ...]
    read: Callable[[Values], Any]


def options_of(command: type[CommandBase]) -> list[FieldOptions]:
    """The options of a command's own fields, in the order of its struct."""
    described = inspect.type_info(command)
    fields = described.fields if isinstance(described, inspect.StructType) else ()
    own = [field for field in fields if field.name not in _HEAD]
    # What it is about comes last in the struct where others add to it, and first on the command line.
    own.sort(key=lambda field: field.encode_name not in ("contact_id", "identity"))
    return [_of(field) for field in own]


def parameter(
    name: str, kind: Any, *flags: str, about: str, required: bool = False, metavar: str | None = None
) -> Parameter:
    """An option as a parameter of a function that Typer calls. Without `required` it is None unless given."""
    option = typer.Option(*flags, help=about, metavar=metavar)
    if required:
        return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, option])
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])


def _of(field: inspect.Field) -> FieldOptions:
    kind, nullable = _present(field.type)
    match kind:
        case inspect.StructType(cls=cls) if cls is Identity:
            made = _identity(field)
        case inspect.StructType(fields=known):
            made = _settings(field, known)
        case inspect.DictType(value_type=value):
            made = _pairs(field, clears=_present(value)[1])
        case inspect.VarTupleType():
            made = _several(field)
        case inspect.LiteralType(values=(True,)):
            made = _flag(field)
        case inspect.BoolType():
            made = _yes_or_no(field)
        case _:
            made = _single(field, kind, clears=field.required and nullable)
    return made


def _present(kind: inspect.Type) -> tuple[inspect.Type, bool]:
    """The type of a value that is there, and whether null is one as well. Of several types the first."""
    if not isinstance(kind, inspect.UnionType):
        return kind, False
    present = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
    return present[0], len(present) < len(kind.types)


def _flag_of(field: inspect.Field) -> str:
    return f"--{field.encode_name.replace('_', '-')}"


def _help(field: inspect.Field) -> str:
    return HELP.get(field.encode_name, f"The field `{field.encode_name}` of the command.")


def _name_of(field: inspect.Field) -> str:
    return f"field_{field.name}"


def _made(field: inspect.Field, parameters: Sequence[Parameter], read: Callable[[Values], Any]) -> FieldOptions:
    return FieldOptions(field.encode_name, _flag_of(field), tuple(parameters), read)


def _identity(field: inspect.Field) -> FieldOptions:
    needed = field.required
    parameters = (
        parameter("identity_channel", Channel, "--channel", about=HELP["identity.channel"], required=needed),
        parameter(
            "identity_address", str, "--address", about=HELP["identity.address"], required=needed, metavar="ADDRESS"
        ),
        parameter("identity_channel_id", str, "--channel-id", about=HELP["identity.channel_id"], metavar="ID"),
    )

    def read(values: Values) -> Any:
        given = {name: values[f"identity_{name}"] for name in Identity.__struct_fields__}
        present = {name: value for name, value in given.items() if value is not None}
        if present and not {"channel", "address"} <= present.keys():
            raise SettingsError("--channel and --address belong together: they name one address of a person")
        return present or NOT_GIVEN

    return FieldOptions(field.encode_name, "--channel and --address", parameters, read)


def _single(field: inspect.Field, kind: inspect.Type, *, clears: bool) -> FieldOptions:
    name, flag = _name_of(field), _flag_of(field)
    annotation, metavar = _annotation(kind)
    required = field.required and not clears
    parameters = [parameter(name, annotation, flag, about=_help(field), required=required, metavar=metavar)]
    if clears:
        none = f"--no-{field.encode_name.replace('_', '-')}"
        parameters.append(parameter(f"no_{field.name}", bool, none, about=f"Leave it without {flag[2:]}."))

    def read(values: Values) -> Any:
        value = values[name]
        if isinstance(kind, inspect.DateTimeType):
            value = terminal.moment(value, flag)
        if clears and (value is None) != bool(values[f"no_{field.name}"]):
            raise SettingsError(f"give either {flag} or --no-{flag[2:]}")
        return NOT_GIVEN if value is None and not clears else value

    return _made(field, parameters, read)


def _annotation(kind: inspect.Type) -> tuple[Any, str | None]:
    match kind:
        case inspect.LiteralType(values=values):
            return Literal[tuple(values)], None
        case inspect.IntType():
            return int, "NUMBER"
        case inspect.UUIDType():
            return str, "UUID"
        case inspect.DateTimeType():
            return str, "TIME"
        case _:
            return str, "TEXT"


def _flag(field: inspect.Field) -> FieldOptions:
    name = _name_of(field)
    made = parameter(name, bool, _flag_of(field), about=_help(field))
    return _made(field, [made], lambda values: True if values[name] else NOT_GIVEN)


def _yes_or_no(field: inspect.Field) -> FieldOptions:
    name, flag = _name_of(field), _flag_of(field)
    made = parameter(name, bool, f"{flag}/--no-{flag[2:]}", about=_help(field), required=field.required)
    return _made(field, [made], lambda values: NOT_GIVEN if values[name] is None else values[name])


def _several(field: inspect.Field) -> FieldOptions:
    """A list: the option is repeated, with its name in the singular or the plural."""
    name, flag = _name_of(field), _flag_of(field)
    none, may_be_empty = f"--no-{flag[2:]}", field.required
    flags = list(dict.fromkeys([flag.removesuffix("s"), flag]))
    parameters = [parameter(name, list[str], *flags, about=f"{_help(field)} May be repeated.", metavar="TEXT")]
    if may_be_empty:
        parameters.append(parameter(f"no_{field.name}", bool, none, about="An empty list."))

    def read(values: Values) -> Any:
        given = values[name] or None
        if may_be_empty and (given is None) != bool(values[f"no_{field.name}"]):
            raise SettingsError(f"give either {flags[0]} or {none}")
        return (given or []) if may_be_empty or given else NOT_GIVEN

    return _made(field, parameters, read)


def _pairs(field: inspect.Field, *, clears: bool) -> FieldOptions:
    """An object of names and values."""
    name, flag = _name_of(field), _flag_of(field)
    parameters = _pair_parameters(field, json=clears, clears=clears and field.encode_name == "set")

    def read(values: Values) -> Any:
        return _object(values, name, flag, lambda _name, text: text)

    return _made(field, parameters, read)


def _settings(field: inspect.Field, known: Sequence[inspect.Field]) -> FieldOptions:
    """An object whose names and types are known."""
    name, flag = _name_of(field), _flag_of(field)
    kinds = {one.encode_name: _present(one.type)[0] for one in known}

    def converted(setting: str, text: str) -> Any:
        if setting not in kinds:
            raise SettingsError(f"{flag}: there is no {setting!r}; expected any of {', '.join(kinds)}")
        match kinds[setting]:
            case inspect.IntType() if re.fullmatch(r"-?[0-9]{1,20}", text, re.ASCII):
                return int(text)
            case inspect.BoolType() if text in ("true", "false"):
                return text == "true"
        return text

    def read(values: Values) -> Any:
        return _object(values, name, flag, converted)

    return _made(field, _pair_parameters(field, json=True, clears=True), read)


def _pair_parameters(field: inspect.Field, *, json: bool, clears: bool) -> list[Parameter]:
    name, flag = _name_of(field), _flag_of(field)
    flags = list(dict.fromkeys([flag.removesuffix("s"), flag]))
    also = " NAME:=JSON for a number, true, false or a list." if json else ""
    words = f"{_help(field)}{also} May be repeated."
    made = [parameter(name, list[str], *flags, about=words, metavar="NAME=TEXT")]
    if clears:
        made.append(parameter(f"clear_{field.name}", list[str], "--clear", about=HELP["clear"], metavar="NAME"))
    return made


def _object(values: Values, name: str, flag: str, converted: Callable[[str, str], Any]) -> Any:
    found: dict[str, Any] = {}
    for text in values[name] or ():
        pair = _PAIR.fullmatch(text)
        if pair is None:
            raise SettingsError(f"{flag}: expected NAME=TEXT or NAME:=JSON, got {text!r}")
        value = _json(flag, pair["value"]) if pair["json"] else converted(pair["name"], pair["value"])
        _put(found, flag, pair["name"], value)
    for cleared in values.get(name.replace("field_", "clear_", 1)) or ():
        converted(cleared, "")
        _put(found, flag, cleared, None)
    return found or NOT_GIVEN


def _put(found: dict[str, Any], flag: str, name: str, value: Any) -> None:
    if name in found:
        raise SettingsError(f"{flag}: {name!r} is given twice")
    found[name] = value


def _json(flag: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise SettingsError(f'{flag}: after := expected JSON, such as 42, true or ["a"], got {text!r}') from None

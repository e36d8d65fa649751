"""Renders templates. Everything that people wrote is escaped."""

from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from typing import Any, Final
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from console.texts import known, text
from workers.rules.wording import span

STATIC: Final = {file.name: file.read_bytes() for file in resources.files("console.pages").joinpath("static").iterdir()}
_VERSIONS: Final = {name: sha256(content).hexdigest()[:12] for name, content in STATIC.items()}


def static_url(name: str) -> str:
    """The address of a file that never changes under it."""
    return f"/static/{_VERSIONS[name]}/{name}"


def is_current(version: str, name: str) -> bool:
    """Whether this process has the file in this version."""
    return _VERSIONS.get(name) == version


def when(at: datetime | None, now: datetime) -> Markup:
    """A time relative to now, with the exact one for those who point at it and for screen readers."""
    if at is None:
        return Markup("")  # nosec - a constant
    exact = at.astimezone(UTC)
    told = f"{_short(at, now)} ago" if at <= now else f"in {_short(now, at)}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        exact.isoformat(timespec="seconds"), exact.strftime("%Y-%m-%d %H:%M:%S"), told
    )


def _short(earlier: datetime, later: datetime) -> str:
    """The length in one unit: a list is read at a glance."""
    number, unit = span(later - earlier).split(" ")[:2]
    return f"{number} {unit}"


def in_words(section: str, code: str | None) -> str:
    """A code by the text of its section. A code of a newer version stays as it is."""
    key = f"{section}.{code}"
    return text(key) if known(key) else str(code)


def worded(key: str, /, count: int | None = None, **values: object) -> Markup:
    """A text as HTML. Each value stands apart, so its direction of writing does not change that of the text."""
    whole = escape(text(key, count, **{name: f"{{{name}}}" for name in values}))
    return whole.format(
        **{
            name: value if isinstance(value, Markup) else Markup("<bdi>{}</bdi>").format(value)
            for name, value in values.items()
        }
    )


def number(value: int | float | None) -> str:
    """A number with its thousands apart."""
    return "" if value is None else f"{value:,}"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("console.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(t=text, worded=worded, in_words=in_words, static=static_url, new_id=uuid4, when=when)
    made.filters.update(number=number)
    return made


_ENVIRONMENT: Final = _environment()


def rendered(template: str, context: dict[str, Any]) -> str:
    """The HTML of a template."""
    return _ENVIRONMENT.get_template(template).render(context)

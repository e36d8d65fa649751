"""Time zones come from the release, never from the machine."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from schemas import zones
from schemas.commands import InvalidCommand
from schemas.decoding import decode_command
from schemas.settings_commands import ConfigureWorkspace
from tests.schemas.samples import command, raw

SUMMER = datetime(2026, 7, 1, tzinfo=UTC)
NO_PLACES = [
    "localtime",
    "Factory",
    "posixrules",
    "posix/Europe/Berlin",
    "right/Europe/Berlin",
    "europe/berlin",
    "Europe/berlin",
    " UTC",
    "Europe",
    "Mars/Olympus",
    "Europe/../UTC",
    "/etc/localtime",
    "tzdata.zi",
    "leapseconds",
    "zone.tab",
    "",
]


@pytest.fixture
def another_machine(tmp_path: Path) -> Iterator[None]:
    """A machine on which Berlin lies where Tokyo is, and that has zones of its own."""
    tokyo = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    for name in ("Europe/Berlin", "localtime", "Factory", "Home"):
        (tmp_path / name).write_bytes(tokyo)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zones.zone.cache_clear()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("another_machine")
def test_no_zone_is_read_from_the_machine() -> None:
    assert SUMMER.astimezone(zoneinfo.ZoneInfo.no_cache("Europe/Berlin")).utcoffset() == timedelta(hours=9)

    assert SUMMER.astimezone(zones.zone("Europe/Berlin")).utcoffset() == timedelta(hours=2)


@pytest.mark.usefixtures("another_machine")
@pytest.mark.parametrize("name", [*NO_PLACES, "Home"])
def test_what_only_the_machine_knows_is_no_zone(name: str) -> None:
    assert isinstance(decode_command(raw(command("configure_workspace", set={"time_zone": name}))), InvalidCommand)
    with pytest.raises(KeyError):
        zones.zone(name)


def test_every_zone_can_be_read_and_set() -> None:
    assert len(zones.ZONES) > 500
    for name in zones.ZONES:
        assert SUMMER.astimezone(zones.zone(name)).tzname(), name
        configured = decode_command(raw(command("configure_workspace", set={"time_zone": name})))
        assert isinstance(configured, ConfigureWorkspace), name


@pytest.mark.parametrize("name", ["Europe/Kiev", "Europe/Kyiv", "Asia/Calcutta", "US/Eastern", "Etc/GMT+12", "UTC"])
def test_old_names_are_names(name: str) -> None:
    assert name in zones.ZONES

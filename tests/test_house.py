"""Checks of documents, settings and lock files: what documents name exists, and lock files agree."""

import ast
import os
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
import typer

from workers.app.settings import described
from workers.cli import main
from workers.cli.twins.building import short_names, twins
from workers.store.migrate import migrations

ROOT: Final = Path(__file__).resolve().parents[1]
TOP: Final = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
DOCS: Final = [*TOP, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
LOCKS: Final = ["requirements.lock", "requirements-runtime.lock", "deploy/requirements-build.lock"]
TOOLS_LOCK: Final = "deploy/requirements-supply-chain.lock"

_CODE: Final = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_BLOCK: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_URL: Final = re.compile(r"https?://\S+|\]\([^)\s]+\)")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_UNFINISHED: Final = re.compile(r"\b(TODO|FIXME|TBD|XXX|WIP)\b|lorem ipsum", re.IGNORECASE)
# Coined words that the documents used before the standard terms (outbox, next owner, bad-record limit, user).
_COINED: Final = re.compile(
    r"\b(owed?|owes|heirs?|front door|last words|whoever|strangers?|anew|line (is )?stop(s|ped)|dirty|in doubt)\b",
    re.IGNORECASE,
)
# A document is about Sluice: not about who wrote it, on which machine, and what for.
_NOT_ABOUT_SLUICE: Final = re.compile(r"\b(issue|ticket|session|helper|agent|brief)s?\b|#\d+", re.IGNORECASE)
_SOMEBODYS_MACHINE: Final = re.compile(r"(?<![\w.])/(work|root|home|tmp|Users)/")
_COMMAND: Final = re.compile(r"(?<![\w./-])sluice ([a-z][a-z-]+)(?![\w.=:-])")
_SETTING: Final = re.compile(r"\bSLUICE_[A-Z_]*[A-Z]\b")
_TARGET: Final = re.compile(r"(?<![\w./-])make ([a-z]+)(?![\w.])")
_PIN: Final = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
_REGISTRY: Final = re.compile(r"://|--(extra-)?index-url|--find-links|--trusted-host|^-[if] ", re.MULTILINE)


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(params=DOCS, ids=_named)
def doc(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


# --- documents


def test_a_document_is_finished_and_about_sluice(doc: Path) -> None:
    text = doc.read_text(encoding="utf-8")

    assert not _UNFINISHED.findall(text)
    assert not _SOMEBODYS_MACHINE.findall(text)
    assert not _NOT_ABOUT_SLUICE.findall(_CODE.sub("", text))


def test_a_document_uses_standard_terms(doc: Path) -> None:
    if doc.name not in {"contract.md", "contract-connectors.md", "contract-console.md"}:
        assert not _COINED.search(_LINK.sub("", _CODE.sub("", doc.read_text(encoding="utf-8"))))


def test_prose_keeps_within_120_characters(doc: Path) -> None:
    prose = _BLOCK.sub("", doc.read_text(encoding="utf-8")).splitlines()
    long = [line for line in prose if not line.startswith("|") and len(_URL.sub("", line)) > 120]

    assert not long


def test_every_link_of_a_document_leads_somewhere(doc: Path) -> None:
    broken = [link for link in _links(doc) if not _resolves(doc, link)]

    assert not broken


def test_every_command_a_document_names_exists(doc: Path) -> None:
    code = "\n".join(_CODE.findall(doc.read_text(encoding="utf-8")))

    assert set(_COMMAND.findall(code)) <= _commands() | set(_COMMAND.findall(_not_there_yet()))
    assert set(_TARGET.findall(code)) <= _targets()


def test_every_file_a_document_names_exists(doc: Path) -> None:
    code = _CODE.findall(doc.read_text(encoding="utf-8"))
    paths = {
        p
        for c in code
        for p in re.findall(
            r"^`((?:workers|schemas|tests|deploy|docs|benchmarks|examples|\.ci)/[^`:*<…]*)(?::[\w.]+)?`$", c
        )
    }

    assert not {p for p in paths if not (ROOT / p).exists()}


def test_every_name_in_code_that_a_document_cites_exists(doc: Path) -> None:
    cited = re.findall(r"`([\w/]+\.py):([\w.]+)`", doc.read_text(encoding="utf-8"))

    assert not [f"{path}:{name}" for path, name in cited if name not in _defined(ROOT / path)]


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        current = todo.pop()
        if current not in reached:
            reached.add(current)
            links = ((current.parent / link.partition("#")[0]).resolve() for link in _links(current))
            todo += [link for link in links if link.suffix == ".md"]

    assert set(DOCS) <= reached


def test_the_readme_starts_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert {"demo", "test"} <= set(_TARGET.findall(text)) & _targets()


def _defined(file: Path) -> set[str]:
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            names |= {node.name} | {
                f"{node.name}.{m.name}" for m in inner if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return names


def _links(doc: Path) -> list[str]:
    return [t for t in _LINK.findall(_CODE.sub("", doc.read_text(encoding="utf-8"))) if "://" not in t]


def _resolves(doc: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (doc.parent / path).resolve() if path else doc
    if not target.exists() or not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_nothing_is_said_to_be_missing_that_is_there() -> None:
    missing = _not_there_yet()

    assert not set(_COMMAND.findall(missing)) & _commands()
    assert not set(_SETTING.findall(missing)) & ({name for name, _, _ in described()} - {"SLUICE_HASH_KEY"})


def _not_there_yet() -> str:
    """What the contract promises for a later version."""
    return (ROOT / "docs/contract.md").read_text(encoding="utf-8").partition("## What this version does not do yet")[2]


def _commands() -> set[str]:
    return set(typer.main.get_group(main.app).commands) | twins().keys() | short_names().keys()


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


# --- settings


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    rows = _settings_table()

    for name, default, meaning in described():
        assert name in rows, f"docs/settings.md has no row for {name}"
        shown, unit, text = rows[name]
        assert shown == default, name
        assert unit, f"{name}: which unit?"
        assert meaning in text, name


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(_settings_table()) == {name for name, _, _ in described()}


def test_no_document_or_service_names_an_unknown_setting() -> None:
    known = {name for name, _, _ in described()} | set(_SETTING.findall(_not_there_yet()))
    texts = [p.read_text(encoding="utf-8") for p in [*DOCS, ROOT / "docker-compose.yml", ROOT / "deploy/Dockerfile"]]

    assert {n for text in texts for n in _SETTING.findall(text)} <= known


def _settings_table() -> dict[str, tuple[str, str, str]]:
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    lines = (line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `SLUICE_"))
    cells = ([cell.strip().strip("`") for cell in line] for line in lines)
    return {name: (default, unit, meaning) for name, default, unit, meaning in cells}


# --- lock files


@pytest.mark.parametrize("name", [*LOCKS, TOOLS_LOCK])
def test_a_lock_file_names_no_registry_and_has_a_hash_for_every_package(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if _PIN.match(entry)]

    assert not _REGISTRY.findall(text)
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("name", LOCKS[1:])
def test_what_the_image_is_made_of_is_what_was_tested(name: str) -> None:
    assert _pins(name).items() <= _pins("requirements.lock").items()


def test_lock_files_hold_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {_package(line) for line in project["dependencies"]}
    extras = {_package(line) for lines in project["optional-dependencies"].values() for line in lines}

    assert needed <= _pins("requirements-runtime.lock").keys()
    assert needed | extras <= _pins("requirements.lock").keys()
    assert not (extras - needed) & {"confluent-kafka", "mypy", "pytest"} & _pins("requirements-runtime.lock").keys()


def test_tools_of_a_release_share_the_versions_that_were_tested() -> None:
    tested, tools = _pins("requirements.lock"), _pins(TOOLS_LOCK)

    assert {"cyclonedx-bom", "pip-audit"} <= tools.keys()
    assert {name: tools[name] for name in tools.keys() & tested.keys()} == {
        name: tested[name] for name in tools.keys() & tested.keys()
    }


def _pins(name: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def _package(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower()


# --- releases


def test_each_release_names_its_day_and_its_commit_newest_first() -> None:
    releases = _releases()

    assert releases
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", day) and re.fullmatch(r"[0-9a-f]{8,40}", c) for _, day, c in releases)
    assert releases == sorted(releases, key=lambda one: [int(part) for part in one[0].split(".")], reverse=True)


def test_the_newest_release_has_its_schemas_and_no_version_is_older() -> None:
    newest = _releases()[0][0]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    assert [folder.name for folder in (ROOT / "docs/released").iterdir()] == [newest]
    assert [int(part) for part in version.split(".")] >= [int(part) for part in newest.split(".")]


def _releases() -> list[tuple[str, str, str]]:
    """Version, day and commit of each section of the changelog."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert sections.pop(0).startswith("Unreleased\n")
    return [_release(section) for section in sections]


def _release(section: str) -> tuple[str, str, str]:
    found = re.match(r"(\d+\.\d+\.\d+) - (\S+)\n\nCommit: `(\w+)`", section)
    assert found, section[:80]
    return found[1], found[2], found[3]


def test_each_migration_has_a_number_of_its_own() -> None:
    assert migrations()


# --- continuous integration


def test_ci_can_be_run_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci/run"
    text = script.read_text(encoding="utf-8")

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    steps = re.findall(r"^(?:step \d+ make \S+|tests \d+) ([\w-]+)$", text, re.MULTILINE)
    assert set(steps) == {"install", "lint", "demo", "test-faults", "test-console", "test-operations", "test"}


def test_ci_ends_within_half_an_hour() -> None:
    text = (ROOT / ".ci/run").read_text(encoding="utf-8")

    assert re.findall(r"^minutes=(\d+)", text, re.MULTILINE) == ["29"]
    assert "seconds=$((left < seconds ? left : seconds))" in text
    assert 'timeout --kill-after=10s "${seconds}s"' in text

"""What each package may do, checked on the source alone. A rule is a function from one file to its breaches."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

MOST_LINES: Final = 300
MOST_LINES_OF_A_TEST: Final = 500  # scenarios state everything they need
MOST_LINES_OF_A_FUNCTION: Final = 60

PURE_STDLIB: Final = frozenset(
    {
        "abc",
        "base64",
        "binascii",
        "bisect",
        "calendar",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "unicodedata",
        "uuid",
        "zlib",
    }
)
ALSO_IN_SCHEMAS: Final = frozenset({"msgspec", "phonenumbers", "schemas"})
ALSO_IN_RULES: Final = frozenset({"html", "idna", "msgspec", "phonenumbers", "schemas", "workers.rules"})
WRITES_SCHEMAS: Final = PurePosixPath("schemas/__main__.py")
ZONES: Final = PurePosixPath("schemas/zones.py")
"""Reads the release's own time zones; elsewhere `zoneinfo` would read those of the machine."""
LAYERS: Final = (
    "schemas",
    "workers.terminal_text",
    "workers.errors",
    "workers.process",
    "workers.rules",
    "workers.records",
    "workers.store",
    "workers.runtime",
    "workers.kafka",
    "workers.services",
    "workers.engines",
    "workers.commands",
    "workers.billing",
    "workers.messages",
    "workers.sends",
    "workers.workflows",
    "workers.contacts",
    "workers.workspaces",
    "workers.dead_letters",
    "workers.app",
    "connectors",
    "console",
    "workers.dev",
    "workers.cli",
)
"""From the lowest up. Each may import what stands before it."""
CONNECTORS_USE: Final = frozenset(
    {"connectors", "schemas", "workers.app.settings", "workers.errors", "workers.process"}
)
"""What outsiders may use, and what every process needs: connectors are the example for those who write their own."""
CONSOLE_USES: Final = frozenset(
    {"console", "schemas", "workers.app.settings", "workers.errors", "workers.process", "workers.rules"}
)
"""The console reads public views and writes topics: it has the rules of nobody else's tables."""
PURE_CONNECTORS: Final = ("connectors/providers",)
ALSO_IN_PROVIDERS: Final = frozenset({"connectors", "email", "html", "idna", "msgspec", "schemas", "urllib.parse"})
KNOW_AIOKAFKA: Final = (
    "workers/kafka",
    "workers/process/granted_rights.py",
    "workers/process/production.py",
    "workers/process/tailing.py",
    "workers/services/compaction_repair.py",
    "workers/dev",
)
SUPERVISOR: Final = PurePosixPath("workers/app/supervisor.py")
FAULTS: Final = PurePosixPath("connectors/faults.py")

# What reads a clock or rolls dice, although its module may be imported.
IMPURE_CALLS: Final = frozenset({"now", "utcnow", "today", "uuid1", "uuid4"})

_SQL: Final = re.compile(
    r"\bselect\b.+\bfrom\b|\binsert\s+into\b|\bupdate\s+\S+\s+(\w+\s+)?set\b|\bdelete\s+from\b|\btruncate\s+table\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class File:
    """One Python file; `path` is relative to the project's folder."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    def within(self, *folders: str) -> bool:
        return any(self.path.is_relative_to(folder) for folder in folders)


Rule = Callable[[File], Iterator[str]]


def parsed(path: str, text: str) -> File:
    return File(PurePosixPath(path), text, ast.parse(text))


def breaches(file: File) -> list[str]:
    """Everything a file does that its folder may not, one line each."""
    return [f"{file.path}: {breach}" for rule in RULES for breach in rule(file)]


def imports_only_what_is_pure(file: File) -> Iterator[str]:
    if file.within("schemas") and file.path != WRITES_SCHEMAS:
        allowed = (
            PURE_STDLIB
            | ALSO_IN_SCHEMAS
            | (frozenset({"importlib.resources", "zoneinfo"}) if file.path == ZONES else frozenset())
        )
    elif file.within("workers/rules"):
        allowed = PURE_STDLIB | ALSO_IN_RULES
    elif file.within(*PURE_CONNECTORS):
        allowed = PURE_STDLIB | ALSO_IN_PROVIDERS
    else:
        return
    for module in _imports(file):
        if not _among(module, allowed):
            yield f"imports {module}"


def waits_for_nothing(file: File) -> Iterator[str]:
    if not file.within("schemas", "workers/rules", *PURE_CONNECTORS):
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"line {node.lineno}: waits"


def reads_no_clock(file: File) -> Iterator[str]:
    if not file.within("schemas", "workers/rules", *PURE_CONNECTORS):
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in IMPURE_CALLS:
                yield f"line {node.lineno}: calls {name}()"


def schemas_know_no_workers(file: File) -> Iterator[str]:
    if file.within("schemas"):
        for module in _imports(file):
            if _among(module, {"workers", "tests"}):
                yield f"imports {module}"


def connectors_use_what_outsiders_may_use(file: File) -> Iterator[str]:
    if file.within("connectors"):
        for module in _imports(file):
            if _among(module, {"workers", "tests"}) and not _among(module, CONNECTORS_USE):
                yield f"imports {module}"


def the_console_uses_what_is_public(file: File) -> Iterator[str]:
    if file.within("console"):
        for module in _imports(file):
            if _among(module, {"connectors", "workers", "tests"}) and not _among(module, CONSOLE_USES):
                yield f"imports {module}"


def only_the_kafka_layer_knows_aiokafka(file: File) -> Iterator[str]:
    if file.within("workers") and not file.within(*KNOW_AIOKAFKA):
        for module in _imports(file):
            if _among(module, {"aiokafka", "confluent_kafka"}):
                yield f"imports {module}"


def layers_import_only_what_is_below(file: File) -> Iterator[str]:
    own = _layer(".".join(file.path.with_suffix("").parts))
    if own is None:
        if file.within("workers") and file.path.name != "__init__.py":
            yield "belongs to no layer"
        return
    for module in _imports(file):
        below = _layer(module)
        if _among(module, {"workers", "schemas"}) and (below is None or below > own):
            yield f"imports {module}"


def _layer(module: str) -> int | None:
    return next((n for n, name in enumerate(LAYERS) if _among(module, {name})), None)


def sql_lives_in_files_of_queries(file: File) -> Iterator[str]:
    if not file.within("connectors", "console", "workers", "schemas"):
        return
    for line, text in _texts(file.tree):
        if _SQL.search(text):
            yield f"line {line}: SQL in a text"


def errors_are_named(file: File) -> Iterator[str]:
    """`except BaseException` is for cleaning up: it ends in a raise."""
    if not file.within("connectors", "console", "workers", "schemas") or file.path in (SUPERVISOR, FAULTS):
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = _caught(node)
            if "Exception" in caught:
                yield f"line {node.lineno}: catches every exception"
            elif "BaseException" in caught and not isinstance(node.body[-1], ast.Raise):
                yield f"line {node.lineno}: swallows every exception"


def files_and_functions_are_short(file: File) -> Iterator[str]:
    lines = file.text.count("\n")
    most = MOST_LINES_OF_A_TEST if file.within("tests") else MOST_LINES
    if lines > most:
        yield f"{lines} lines, at most {most}"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MOST_LINES_OF_A_FUNCTION:
                yield f"line {node.lineno}: {node.name} has {length} lines, at most {MOST_LINES_OF_A_FUNCTION}"


RULES: Final[tuple[Rule, ...]] = (
    imports_only_what_is_pure,
    waits_for_nothing,
    reads_no_clock,
    schemas_know_no_workers,
    connectors_use_what_outsiders_may_use,
    the_console_uses_what_is_public,
    only_the_kafka_layer_knows_aiokafka,
    layers_import_only_what_is_below,
    sql_lives_in_files_of_queries,
    errors_are_named,
    files_and_functions_are_short,
)


def _imports(file: File) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = file.path.parts[: -node.level] if node.level else ()
            base = ".".join((*package, *([node.module] if node.module else [])))
            # `from workers import rules` imports workers.rules: judged by the longer name.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _among(module: str, allowed: set[str] | frozenset[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text that is no docstring; the parts of an f-string are one text."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
            parts = (v.value if isinstance(v, ast.Constant) else "x" for v in node.values)
            yield node.lineno, "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.lineno, node.value


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"Exception"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "") for kind in kinds}

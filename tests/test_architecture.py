"""The shape of the house (docs/architecture.md), read from the source: which way imports run, how large things grow.

Nothing is imported here; every rule looks at the syntax tree of each module. A rule that has to bend is changed here,
with its reason, and nowhere else.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("accounts", "federation", "userpool")
MAX_MODULE_LINES = 300
MAX_VIEW_FUNCTION_LINES = 45

# Inside federation a module imports from its own level (1) or a lower one (a higher number), never upward.
LEVELS = {
    "federation.urls": 0,
    "federation.views": 1,
    "federation.hosted": 1,
    "federation.management": 1,
    "federation.tasks": 1,
    "federation.limiting": 1,
    "federation.unsolicited": 2,
    "federation.sign_out": 2,
    "federation.signin": 2,
    "federation.federated": 2,
    "federation.authorize_request": 2,  # what signin resumes
    "federation.oauth2": 3,
    "federation.upstream": 3,
}
BASIC, ERRORS = 4, 5

ENGINE = ("oauthlib", "oauth2_provider")
SAML = ("saml2", "djangosaml2")


def modules(*packages: str) -> list[Path]:
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that a module imports; ``from a import b`` is a.b, for b may be a module."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{target}.{alias.name}"


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def where(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def level(name: str) -> int:
    for package, height in LEVELS.items():
        if within(name, package):
            return height
    return ERRORS if within(name, "federation.errors") else BASIC


def test_imports_run_from_userpool_to_federation_to_accounts() -> None:
    forbidden = {"accounts": ("federation", "userpool", "tests"), "federation": ("userpool", "tests", "accounts.admin")}
    found = [
        where(path, line, name)
        for package, others in forbidden.items()
        for path in modules(package)
        for line, name in imports(path)
        if within(name, *others)
    ]
    assert found == []


def test_inside_federation_nothing_imports_upward() -> None:
    found = [
        where(path, line, f"{name} stands above {name_of(path)}")
        for path in modules("federation")
        for line, name in imports(path)
        if within(name, "federation") and level(name) < level(name_of(path))
    ]
    assert found == []


def test_the_engine_and_the_upstreams_do_not_know_one_another() -> None:
    pairs = {"oauth2": "federation.upstream", "upstream": "federation.oauth2"}
    found = [
        where(path, line, name)
        for folder, other in pairs.items()
        for path in modules(f"federation/{folder}")
        for line, name in imports(path)
        if within(name, other)
    ]
    assert found == []


def test_the_protocol_engine_is_imported_where_it_is_wrapped_and_nowhere_else() -> None:
    found = [
        where(path, line, name)
        for path in modules(*PACKAGES)
        for line, name in imports(path)
        if within(name, *ENGINE)
        and not within(name_of(path), "federation.oauth2")
        and name_of(path) != "accounts.models.clients"
    ]
    assert found == []


def test_the_saml_toolkit_is_imported_by_the_saml_upstream_only() -> None:
    found = [
        where(path, line, name)
        for path in modules(*PACKAGES)
        for line, name in imports(path)
        if within(name, *SAML) and not name_of(path).startswith("federation.upstream.saml")
    ]
    assert found == []


def test_federation_asks_no_model_manager_so_that_every_query_starts_at_a_pool() -> None:
    managers = ("objects", "_default_manager", "_base_manager", "all_objects")
    found = [
        where(path, node.lineno, f"{ast.unparse(node)}")
        for path in modules("federation")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in managers
    ]
    assert found == []


def test_federation_writes_no_sql_and_has_no_tables() -> None:
    found = [
        where(path, line, name)
        for path in modules("federation")
        for line, name in imports(path)
        if within(name, "django.db.connection", "django.db.connections", "django.db.models", "accounts.statements")
        # aggregates and conditions on a pool's own rows are no tables
        and not within(name, "django.db.models.F", "django.db.models.Q")
    ]
    assert found == []


def test_federation_imports_at_the_top_of_its_modules() -> None:
    found = [
        where(path, inner.lineno, "an import inside a function hides an arrow")
        for path in modules("federation")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert found == []


@pytest.mark.parametrize("package", [*PACKAGES, "examples", "tests"])
def test_every_module_says_what_it_is(package: str) -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules(package)
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(tree_of(path))
    ]
    assert silent == []


def test_modules_stay_small() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in modules(*PACKAGES)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_MODULE_LINES
    }
    assert found == {}


def test_functions_of_views_stay_small() -> None:
    found = [
        where(path, node.lineno, f"{node.name} has {lines} lines")
        for path in [*modules("federation/views"), *modules("federation/hosted")]
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_VIEW_FUNCTION_LINES
    ]
    assert found == []


def test_only_the_settings_read_the_environment() -> None:
    # the demo hands its own environment on to the processes that it starts
    allowed = {"userpool.env", "userpool.wsgi", "userpool.celery", "accounts.management.commands.demo"}
    found = [
        where(path, node.lineno, ast.unparse(node))
        for path in modules(*PACKAGES)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and name_of(path) not in allowed
    ]
    assert found == []

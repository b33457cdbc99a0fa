"""The rules of the house that can be read from the code itself."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = Path(__file__).parents[1] / "cstore"
TESTS = Path(__file__).parent
ROOMS = [
    ("errors", "progress"),
    ("model",),
    ("index",),
    ("layer",),
    ("confined", "files", "origin", "waiting"),
    ("location", "registry", "store"),
    ("source",),
    ("changes", "comparison", "delta", "leaving", "planning", "pruning", "showing", "steps", "views"),
    ("verification",),
    ("mend", "hub"),
    ("publish",),
    ("sync",),
    ("cli", "__main__"),
]
"""Each room imports only from those before it, and from itself."""
NOT_ABOVE = {
    ("location", "layer"),
    ("store", "layer"),
    *(("registry", other) for other in ("confined", "files", "origin", "location", "store", "layer")),
}
"""Rooms of one row, which do not know each other."""

BIGGEST = 250
BAD_NAMES = {"utils", "util", "helpers", "common", "core", "base", "misc"}
TESTED_BY = {
    "__init__": "test_public",
    "__main__": "test_cstore",
    "cli/__init__": "cli/test_main",
    "source/__init__": "source/test_source",
    "publish/receipt": "publish/test_batch",
    "registry/login": "registry/test_credentials",
    "registry/document": "registry/test_registries",
    "registry/configured": "registry/test_conf_files",
    "registry/rule": "registry/test_configuration",
    "source/chosen": "source/test_oci",
    **{f"sync/{name}": "sync/test_rounds" for name in ("asking", "assembly", "narrowing", "published", "round", "trees")},
    "hub/covering": "sync/test_snapshotter",
    "hub/linking": "sync/test_rounds_cvmfs",
    **{f"verification/{name}": "verification/test_rules" for name in ("agreement", "chains", "images", "indexes", "items")},
    **{f"verification/{name}": "verification/test_rules" for name in ("orphans", "overlay", "shared")},
    "layer/links": "layer/test_merging",
    "mend/views": "verification/test_views",
    **{f"verification/{name}": "verification/test_deep" for name in ("compare", "content", "tree")},
}
"""Where the tests of a module are that is not called as they are."""

WRITES = {
    *("chmod", "chown", "copy", "copy2", "copyfile", "copytree", "fchmod", "fchown", "ftruncate", "hardlink_to", "lchown"),
    *(
        "link_to",
        "makedirs",
        "mkdir",
        "mkdtemp",
        "mkfifo",
        "mknod",
        "mkstemp",
        "move",
        "pwrite",
        "removedirs",
        "rename",
        "renames",
        "rmdir",
    ),
    *("rmtree", "setxattr", "removexattr", "symlink", "symlink_to", "touch", "truncate", "unlink", "utime", "write_bytes", "write_text"),
    *("NamedTemporaryFile", "TemporaryDirectory"),
}
WRITE_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}
TALKS = {"print", "input", "exit", "quit", "breakpoint"}
PROCESS = {("os", "environ"), ("os", "environb"), ("os", "getenv"), ("os", "_exit"), ("sys", "exit"), ("sys", "argv"), ("sys", "stdin")}
PROCESS |= {("sys", "stdout"), ("sys", "stderr")}
CLOCKS = {"now", "today", "utcnow", "time", "time_ns"}
INPUT_OUTPUT = {"fcntl", "io", "os", "pathlib", "shutil", "socket", "subprocess", "tarfile", "tempfile", "time"}

MODULES = sorted(str(path.relative_to(CODE).with_suffix("")) for path in CODE.rglob("*.py"))
EACH = pytest.mark.parametrize("module", MODULES)


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse((CODE / f"{module}.py").read_text())


def imported(module: str) -> Iterator[str]:
    """Yield what a module imports, wherever in it that stands."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "no relative imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def attributes(module: str) -> list[tuple[str, str, int]]:
    """Return each `NAME.ATTRIBUTE`, the name empty where it is an expression, with its line."""
    found = [node for node in ast.walk(parsed(module)) if isinstance(node, ast.Attribute)]
    return [(node.value.id if isinstance(node.value, ast.Name) else "", node.attr, node.lineno) for node in found]


def room(module: str) -> str:
    return module.partition("/")[0]


def row(room: str) -> int:
    (number,) = [number for number, rooms in enumerate(ROOMS) if room in rooms]
    return number


@EACH
def test_imports_go_up_only(module: str) -> None:
    names = [name.split(".") for name in imported(module) if name.split(".")[0] == "cstore"]
    if module == "__init__":
        return
    above = [parts[1] for parts in names if parts[1] not in ("__version__", room(module))]
    assert [name for name in above if row(name) > row(room(module)) or (room(module), name) in NOT_ABOVE] == []


def test_the_package_itself_imports_nothing_when_it_is_imported() -> None:
    top = [node for node in parsed("__init__").body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in top] == ["from __future__ import annotations", "from typing import TYPE_CHECKING, Any"]


PURE = ("errors", "model", "index", "changes", "planning", "showing", "steps", "views")


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in PURE])
def test_these_do_no_input_or_output(module: str) -> None:
    assert {name.partition(".")[0] for name in imported(module)} & INPUT_OUTPUT == set()
    assert [node for node in ast.walk(parsed(module)) if isinstance(node, ast.Name) and node.id == "open"] == []


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) != "cli"])
def test_only_the_command_line_prints_reads_the_environment_and_exits(module: str) -> None:
    called = [node.id for node in ast.walk(parsed(module)) if isinstance(node, ast.Name)]
    assert [name for name in called if name in TALKS] == []
    assert [(name, attribute) for name, attribute, _ in attributes(module) if (name, attribute) in PROCESS] == []
    assert "click" not in {name.partition(".")[0] for name in imported(module)}


KEEP = ("registry/cache", "registry/download", "sync/events")
"""They keep what registries send in a directory of its own, and append what happens to a log; no store has anything of it."""


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) != "publish" and module not in KEEP])
def test_only_publishing_writes_files(module: str) -> None:
    assert [found for found in attributes(module) if found[1] in WRITES | WRITE_FLAGS or found[:2] == ("os", "link")] == []
    for node in ast.walk(parsed(module)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        texts = [item.value for item in (*node.args, *(k.value for k in node.keywords)) if isinstance(item, ast.Constant)]
        if name in ("open", "fdopen"):
            assert not [text for text in texts if isinstance(text, str) and set(text) & set("wax+") and len(text) <= 3], node.lineno
        assert not (name == "replace" and len(node.args) == 1), f"line {node.lineno} renames"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) != "cli" and module != "publish/batch"])
def test_no_clock_is_asked(module: str) -> None:
    assert [found for found in attributes(module) if found[1] in CLOCKS] == []
    assert {"random", "secrets", "uuid"} & {name.partition(".")[0] for name in imported(module)} == set()


@EACH
def test_a_module_is_short(module: str) -> None:
    code = [line for line in (CODE / f"{module}.py").read_text().splitlines() if line.strip()]
    assert len(code) <= BIGGEST


@EACH
def test_a_module_is_named_after_its_subject(module: str) -> None:
    assert BAD_NAMES.isdisjoint(module.split("/"))


@EACH
def test_a_module_has_a_docstring_and_says_what_is_public(module: str) -> None:
    tree = parsed(module)
    assert ast.get_docstring(tree)
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")]
    if defined and not module.startswith("errors"):
        assert "__all__" in [ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]


def is_code(module: str) -> bool:
    return len([node for node in parsed(module).body if not isinstance(node, ast.Expr)]) > 0


@pytest.mark.parametrize("module", [module for module in MODULES if is_code(module)])
def test_a_module_has_a_test_module(module: str) -> None:
    folder, slash, name = module.rpartition("/")
    wanted = TESTED_BY.get(module, f"{folder}{slash}test_{name}")
    assert [path.name for path in TESTS.glob(f"{wanted}.py")] or [path.name for path in TESTS.glob(f"{wanted}_*.py")]

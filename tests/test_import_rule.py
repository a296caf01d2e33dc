"""The order of the house: a file imports only what stands above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: From top to bottom. A name stands for its file or, where no longer name fits, for all files of
#: its room; those may import one another, but not in a circle. `kernelkit` is its `__init__`.
ORDER = (
    "version", "records",
    "errors",
    "ir.types", "ir.nodes",
    "ir.scalar_values", "ir.scalar_math", "ir.scalar_functions", "ir.scalar",
    "ir.rewrite", "ir.printer", "ir.verify_expressions", "ir.verify",
    "frontend.source", "frontend.builtins", "mathlib",
    "frontend.promotion", "frontend", "frontend.parser",
    "analysis", "analysis.pipeline",
    "emit",
    "backend", "registry", "runtime", "api", "kernelkit",
    "wavelets", "ndimage", "nn",
    "testing", "conformance", "bench", "demo", "inspection", "cli", "__main__",
)  # fmt: skip

#: What a room may not import although it stands above.
STRANGERS = {"frontend": ("analysis", "emit"), "analysis": ("frontend",), "emit": ("frontend",)}
#: What a back end may import of kernelkit.
DOOR = ("records", "errors", "ir", "analysis", "emit", "backend")
#: Who may import numba, besides tests.
NUMBA = ("kernelkit_numba", "kernelkit.bench")


def module_of(path: Path) -> str:
    """backends/kernelkit_cpu/pool.py -> kernelkit_cpu.pool; a package is its __init__."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "backends" else parts
    return ".".join(parts).removesuffix(".__init__")


FILES = {
    module_of(path): path
    for top in ("kernelkit", "backends")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def imports(module: str, tree: ast.AST) -> Iterator[str]:
    """The modules that a file imports, wherever in the file and for whatever reason."""
    package = module if module in FILES and FILES[module].stem == "__init__" else ""
    package = package or module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -node.level + 1 or None] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in FILES else base


def place(module: str) -> int:
    """Where a module of kernelkit stands in ORDER; -1 where it has no place."""
    name = module.removeprefix("kernelkit.")
    fitting = [entry for entry in ORDER if within(name, entry)]
    return ORDER.index(max(fitting, key=len)) if fitting else -1


def problem(module: str, target: str) -> str | None:
    """What is wrong with a module importing another."""
    name, wanted = module.removeprefix("kernelkit."), target.removeprefix("kernelkit.")
    if within(target, "numba") and not within(module, *NUMBA):
        return "numba serves its own back end and benchmarks only"
    if within(module, "kernelkit") and target.startswith("kernelkit_"):
        return "back ends are found through their entry points"
    if not within(target, "kernelkit") or module == target:
        return None
    if not within(module, "kernelkit"):
        return None if within(wanted, *DOOR) else f"a back end imports {', '.join(DOOR)} only"
    if any(within(name, room) and within(wanted, *other) for room, other in STRANGERS.items()):
        return "these rooms do not know each other"
    return None if place(target) <= place(module) else "this stands further down"


def findings(module: str, source: str) -> list[str]:
    targets = dict.fromkeys(imports(module, ast.parse(source)))
    found = {target: problem(module, target) for target in targets}
    return [f"{module} imports {target}: {why}" for target, why in found.items() if why]


def test_every_file_imports_only_what_stands_above_it() -> None:
    assert [f for module, path in FILES.items() for f in findings(module, path.read_text())] == []


def test_every_file_has_a_place() -> None:
    ours = {module for module in FILES if within(module, "kernelkit")} - {"kernelkit.ir"}
    assert {module for module in ours if place(module) < 0} == set()


def at_run_time(path: Path) -> ast.AST:
    """A file without the imports that only a type checker makes."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    return tree


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {
        module: {t for t in imports(module, at_run_time(path)) if t in FILES} - {module}
        for module, path in FILES.items()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("kernelkit.errors", "from kernelkit.ir.types import DType"),
        ("kernelkit.ir.types", "from kernelkit.ir import nodes"),
        ("kernelkit.ir.nodes", "from . import scalar"),
        ("kernelkit.ir.scalar", "import kernelkit.ir.verify"),
        ("kernelkit.frontend.parser", "from kernelkit.analysis.memory import MemoryUse"),
        ("kernelkit.analysis.webs", "from ..frontend import builtins"),
        ("kernelkit.analysis.webs", "from kernelkit.emit.python import print_kernel"),
        ("kernelkit.emit.python", "from kernelkit.frontend.source import read_source"),
        ("kernelkit.runtime.launch", "import kernelkit as kk"),
        ("kernelkit.runtime.launch", "def f():\n    import kernelkit_python"),
        ("kernelkit.demo.run", "import numba.cuda"),
        ("kernelkit_cpu.pool", "from kernelkit.runtime import launch"),
        ("kernelkit_cpu.pool", "import numba"),
        ("kernelkit_cpu.pool", "import kernelkit"),
    ],
)
def test_the_rule_finds(module: str, line: str) -> None:
    assert len(findings(module, line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("kernelkit.ir.scalar", "from kernelkit.ir.types import DType"),
        ("kernelkit.emit.python", "from kernelkit.analysis.pipeline import Analysis"),
        ("kernelkit.runtime.launch", "from .arguments import check"),
        ("kernelkit.wavelets.dwt", "import kernelkit as kk"),
        ("kernelkit_cpu.pool", "from kernelkit.backend import Device\nimport llvmlite"),
        ("kernelkit_numba.build", "import numba"),
    ],
)
def test_the_rule_allows(module: str, line: str) -> None:
    assert findings(module, line) == []

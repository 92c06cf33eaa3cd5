"""The layout is a test: arrows, fences, cycles, sizes, purity of the rules, dtypes, pins, and no machine's own paths.

Each check is a function from the text of files (or dtypes) to a list of problems. The last table plants one fault for
each thing a check looks at, so that none of them can pass for want of looking.
"""

import ast
import functools
import re
import statistics
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import engine.breaker_records
import engine.coupon_records
import engine.records
import sim.model

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "sim", "scenarios", "results", "loadtests", "gateway")
OURS = (*PACKAGES, "windtunnel", "tests")

RECORDS = (
    "engine.records", "engine.breaker_records", "engine.coupon_records", "engine.fraud_records",
    "engine.profile_records",
)  # fmt: skip
REFERENCE = (
    "engine.reference_breaker",
    "engine.reference_checkout",
    "engine.reference_counters",
    "engine.reference_fraud",
    "engine.reference_ledger",
    "engine.reference_rules",
    "engine.reference_terms",
    "engine.reference_wallet",
)
DOCUMENTS = ("engine.policy.document", "engine.policy.campaign", "engine.policy.coupon")

# Who may import what of ours. Every row whose left side holds a module applies to it.
ARROWS = {
    "engine": ("engine",),
    "engine.records": (),
    "engine.breaker_records": ("engine.records",),
    "engine.profile_records": (),
    "engine.coupon_records": ("engine.records",),
    "engine.dispatch": (),
    "engine.compiled": ("engine.dispatch",),
    "engine.days": ("engine.records", "engine.compiled"),
    "engine.policy": ("engine.policy", *RECORDS, "engine.reference_checkout"),  # lint prices carts naively
    "engine.rules": (*RECORDS, "engine.compiled", "engine.days", "engine.rules"),
    "engine.decide": (*RECORDS, "engine.compiled", "engine.days", "engine.rules"),
    "engine.settle": (*RECORDS, "engine.compiled", "engine.days", "engine.rules"),
    "engine.reference": (*RECORDS, *REFERENCE, *DOCUMENTS),
    "engine.reference_breaker": RECORDS,
    "engine.reference_checkout": RECORDS,
    "engine.reference_counters": (*RECORDS, "engine.reference_rules"),
    "engine.reference_fraud": (*RECORDS, "engine.reference_rules"),
    "engine.reference_ledger": (
        *RECORDS,
        "engine.reference_breaker",
        "engine.reference_counters",
        "engine.reference_rules",
    ),
    "engine.reference_rules": (*RECORDS, *DOCUMENTS),
    "engine.reference_terms": (*RECORDS, *DOCUMENTS, "engine.reference_checkout"),
    "engine.reference_wallet": (
        *RECORDS,
        *DOCUMENTS,
        "engine.reference_checkout",
        "engine.reference_fraud",
        "engine.reference_terms",
    ),
    "sim": ("sim", *RECORDS, "engine.compiled", "engine.days"),  # is handed `decide`
    "results": ("results", *RECORDS),
    "scenarios": ("scenarios", "engine", "sim", "results"),
    "loadtests.generator": ("loadtests.generator",),  # and what it imports is all that Locust's processes load
    "loadtests.locustfile": ("loadtests.generator",),
    "loadtests": ("loadtests", "scenarios", "engine", "sim", "results", "gateway"),  # Ray Serve decides with its parts
    "gateway": ("gateway", "scenarios", "engine", "results.fraud_words"),
    "windtunnel": ("scenarios", "loadtests", "results", "engine", "gateway"),
}

# Where foreign technology may be touched. One without a row needs one, and a reason in DESIGN.md.
FENCES = {
    "numpy": ("*",),
    "ray": ("engine/host/ray_cluster.py", "engine/host/ray_fleet.py", "loadtests/bench_serve.py"),
    "starlette": ("loadtests/bench_serve.py",),
    "ruamel": ("engine/policy/yaml_source.py",),
    "pydantic": ("engine/policy/*.py", "scenarios/*document.py"),
    "pydantic_core": ("engine/policy/*.py",),
    "numba": ("engine/compiled.py", "sim/streams.py"),
    "llvmlite": ("engine/compiled.py", "sim/streams.py"),
    "simpy": ("sim/*.py",),
    "pyarrow": ("results/*store.py", "results/*tables.py", "gateway/arrow*.py", "loadtests/bench_events.py"),
    "duckdb": ("results/query.py",),
    "scipy": ("results/statistics.py",),
    "sklearn": ("scenarios/sorter.py",),
    "plotly": ("results/*.py",),
    "jinja2": ("results/pages.py",),
    "markupsafe": ("results/*.py",),
    "typer": ("windtunnel.py",),
    "granian": ("gateway/serve.py", "loadtests/bench_noop.py"),
    "uvloop": ("gateway/serve.py",),
    "cryptography": ("gateway/sealing.py", "gateway/tls.py"),
    "prometheus_client": ("gateway/metrics.py", "loadtests/gauges.py"),
    "msgspec": ("gateway/*.py", "loadtests/bench_serve.py"),
    "rich": ("scenarios/console.py", "scenarios/linting.py"),
    "pytest": ("scenarios/check.py", "scenarios/*_plugin.py"),
    "locust": ("loadtests/locustfile.py",),  # patches sockets: nothing that uses Ray may import it
    "gevent": ("loadtests/locustfile.py", "loadtests/generator/connection.py"),
    "geventhttpclient": ("loadtests/generator/connection.py",),
    "hdrh": ("loadtests/generator/meters.py",),
    "psutil": ("loadtests/machine.py",),
}

# A declared dependency brings these and pins them to itself.
BROUGHT_BY = {  # or is imported under another name
    "hdrh": "hdrhistogram",
    "llvmlite": "numba",
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "ruamel": "ruamel.yaml",
    "sklearn": "scikit-learn",
    "starlette": "ray",  # with its extra `serve`
}

SEEDED = ("sim.disasters",)  # are handed a random.Random: disasters come in sequence, not by customer
PURE = ("engine.rules", "engine.decide", "engine.days")  # read no clock, draw no number, open no file
PURE_LIBRARY = {"enum", "math", "typing"}
CHANCE_AND_CLOCKS = {"datetime", "random", "secrets", "time"}  # nor has the simulation any but its own
EFFECTS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}

LINES_MAX = 400
LONG_FILES = {  # one subject each, and a limit of their own
    "engine/reference.py": 950,
    "engine/reference_ledger.py": 460,
    "engine/reference_wallet.py": 660,
    "engine/records.py": 490,
    "engine/coupon_records.py": 480,
    "engine/policy/yaml_source.py": 450,
    "sim/behaviour.py": 460,
}
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN = 15

TEXTS = ("py", "toml", "txt", "yaml", "md", "j2", "js", "css", "cfg", "ini", "json")
LEFT_OUT = {
    ".git",
    ".venv",
    "runs",
    "build",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
}
MACHINE_PATH = re.compile(r"(?<![\w.*/-])/(?:work|tmp|root|home|Users|opt|mnt)(?:/|\b)")
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*")

Files = Mapping[str, str]  # path from the root → text


# --- Reading ----------------------------------------------------------------------------------------------------------
def texts() -> Files:
    """Every text file of the repository."""
    paths = (path for path in sorted(ROOT.rglob("*")) if not LEFT_OUT & set(path.relative_to(ROOT).parts))
    kept = (path for path in paths if path.is_file() and not any(part.endswith(".egg-info") for part in path.parts))
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in kept
        if path.suffix[1:] in TEXTS or path.parent.name == ".ci" or path.name in ("Makefile", ".gitignore")
    }


def product(files: Files) -> Files:
    """The Python files that are the product, not its tests."""
    return {path: text for path, text in files.items() if path.endswith(".py") and path.split("/")[0] != "tests"}


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def trees(files: Files) -> Iterator[tuple[str, ast.Module]]:
    for path, text in files.items():
        yield path, parsed(path, text)


@functools.cache
def parsed(path: str, text: str) -> ast.Module:
    return ast.parse(text, path, feature_version=(3, 11))


def imports(tree: ast.Module, modules: set[str]) -> Iterator[tuple[str, int]]:
    """Modules a file imports, at its top, in functions and for types, with their lines. `from a import b` is a.b if
    that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base, node.lineno


def all_imports(files: Files) -> Iterator[tuple[str, str, int]]:
    modules = {module_name(path) for path in files}
    for path, tree in trees(files):
        for name, line in imports(tree, modules):
            yield path, name, line


def foreign(files: Files) -> Iterator[tuple[str, str, int]]:
    for path, name, line in all_imports(files):
        top = name.split(".")[0]
        if top and top not in OURS and top not in sys.stdlib_module_names:
            yield path, top, line


# --- Checks -----------------------------------------------------------------------------------------------------------
def arrows(files: Files) -> list[str]:
    problems = []
    for path, name, line in all_imports(product(files)):
        module = module_name(path)
        rows = [allowed for row, allowed in ARROWS.items() if within(module, (row,))]
        if name.startswith("."):
            problems.append(f"{path}:{line}: a relative import: say the whole name")
        elif name.split(".")[0] in OURS and not (rows and all(within(name, allowed) for allowed in rows)):
            problems.append(f"{path}:{line}: {module} must not import {name}")
    return problems


def hidden_traits(files: Files) -> list[str]:
    """The population's traits are out of reach of what decides and of what judges, by whatever way."""
    reaches = graph(product(files))
    problems = []
    for module in reaches:
        if within(module, ("engine", "results")):
            seen = {name for name in reachable(reaches, module) if within(name, ("sim",))}
            problems += [f"{module} reaches {name}, where hidden traits are" for name in sorted(seen)]
    return problems


def graph(files: Files) -> dict[str, set[str]]:
    modules = {module_name(path) for path in files}
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for path, name, _ in all_imports(files):
        if name in modules:
            edges[module_name(path)].add(name)
    return edges


def reachable(edges: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    front = set(edges[start])
    while front:
        seen |= front
        front = {after for name in front for after in edges[name]} - seen
    return seen


def cycles(files: Files) -> list[str]:
    edges = graph(product(files))
    tangled = {module for module in edges if module in reachable(edges, module)}
    return [
        f"{module} imports itself, by way of {', '.join(sorted(edges[module] & tangled))}" for module in sorted(tangled)
    ]


def fences(files: Files) -> list[str]:
    problems = []
    for path, top, line in foreign(product(files)):
        if top not in FENCES:
            problems.append(f"{path}:{line}: {top} has no fence in tests/test_layering.py")
        elif not any(fnmatch(path, allowed) for allowed in FENCES[top]):
            problems.append(f"{path}:{line}: {top} belongs in {', '.join(FENCES[top]) or 'no file yet'}")
    return problems


def reference_apart(files: Files) -> list[str]:
    """The naive twin stands on the standard library and NumPy alone."""
    found = foreign({path: text for path, text in files.items() if path == "engine/reference.py"})
    return [f"{path}:{line}: the reference must not use {top}" for path, top, line in found if top != "numpy"]


def sizes(files: Files) -> list[str]:
    problems = []
    lengths = []
    for path, tree in trees(product(files)):
        lines, most = files[path].count("\n"), LONG_FILES.get(path, LINES_MAX)
        if lines > most:
            problems.append(f"{path}: must be at most {most} lines (got {lines})")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append(length)
                if length > FUNCTION_LINES_MAX:
                    problems.append(
                        f"{path}:{node.lineno}: {node.name} must be at most {FUNCTION_LINES_MAX} lines (got {length})"
                    )
    median = statistics.median(lengths or [0])
    if median >= FUNCTION_LINES_MEDIAN:
        problems.append(f"half the functions must be under {FUNCTION_LINES_MEDIAN} lines (median {median:g})")
    return problems


def empty_packages(files: Files) -> list[str]:
    return [f"{path}: must be empty" for path, text in files.items() if path.endswith("__init__.py") and text]


def purity(files: Files) -> list[str]:
    problems = []
    chosen = {path: text for path, text in product(files).items() if within(module_name(path), (*PURE, "sim"))}
    for path, name, line in all_imports(chosen):
        top = name.split(".")[0]
        pure = within(module_name(path), PURE)
        allowed = top not in sys.stdlib_module_names or (top in PURE_LIBRARY if pure else top not in CHANCE_AND_CLOCKS)
        allowed = allowed or (top == "random" and within(module_name(path), SEEDED))
        if not allowed:
            problems.append(f"{path}:{line}: must not import {name}")
    for path, tree in trees(chosen):
        problems += [f"{path}:{line}: must not use {what}" for what, line in effects(tree)]
    return problems


def effects(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Calls that reach outside, and NumPy's own chance and files."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EFFECTS:
            yield node.func.id, node.lineno
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("np.random", "np.load", "np.save", "np.memmap"):
            yield ast.unparse(node), node.lineno
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numpy.random"):
            yield "numpy.random", node.lineno


def dtypes(named: Mapping[str, np.dtype]) -> list[str]:  # type: ignore[type-arg]
    """State is integers and, in the simulation, f8. u8 is for hashes and salts, which wrap."""
    problems = []
    for name, field, kind in leaves(named):
        size = kind.itemsize
        if kind.kind == "u" and not (size == 8 and field.endswith(("_salt", "_hash"))):
            problems.append(f"{name}.{field}: unsigned is for u8 fields named _salt or _hash (got {kind})")
        elif kind.kind == "f" and (size != 8 or name.startswith("engine.")):
            problems.append(
                f"{name}.{field}: must be {'an integer' if name.startswith('engine.') else 'f8'} (got {kind})"
            )
        elif kind.kind not in "iuf":
            problems.append(f"{name}.{field}: must be a number (got {kind})")
    return problems


def leaves(named: Mapping[str, np.dtype]) -> Iterator[tuple[str, str, np.dtype]]:  # type: ignore[type-arg]
    for name, dtype in named.items():
        for field, (kind, *_) in (dtype.fields or {}).items():
            if kind.base.fields:
                yield from leaves({f"{name}.{field}": kind.base})
            else:
                yield name, field, kind.base


def structures() -> Mapping[str, np.dtype]:  # type: ignore[type-arg]
    return {
        f"{module.__name__}.{name}": value
        for module in (engine.records, engine.breaker_records, engine.coupon_records, sim.model)
        for name, value in vars(module).items()
        if isinstance(value, np.dtype)
    }


def machine_paths(files: Files) -> list[str]:
    return [
        f"{path}:{number}: a path of one machine: {line.strip()}"
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]


def pins(files: Files) -> list[str]:
    """Each line of the constraints is name==version and no more; what is declared is pinned, what is used declared."""
    lines = [line for line in files["constraints.txt"].splitlines() if line and not line.startswith("#")]
    problems = [f"constraints.txt: must be name==version (got {line})" for line in lines if not PIN.fullmatch(line)]
    pinned = {distribution(line) for line in lines}
    project = tomllib.loads(files["pyproject.toml"])["project"]
    runtime = {distribution(text) for text in project["dependencies"]}
    declared = runtime.union(*(map(distribution, extra) for extra in project["optional-dependencies"].values()))
    problems += [f"constraints.txt: must pin {name}" for name in sorted(declared - pinned)]
    for path, top, line in foreign(product(files)):
        if distribution(BROUGHT_BY.get(top, top)) not in runtime:
            problems.append(f"{path}:{line}: {top} is not among the dependencies in pyproject.toml")
    return problems


def distribution(text: str) -> str:
    """A distribution's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", text.strip())[0]).lower()


CHECKS: list[Callable[[Files], list[str]]] = [
    arrows, hidden_traits, cycles, fences, reference_apart, sizes, empty_packages, purity, machine_paths, pins,
]  # fmt: skip


# --- The product ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def repository() -> Files:
    return texts()


@pytest.mark.parametrize("check", CHECKS)
def test_the_layout(check: Callable[[Files], list[str]], repository: Files) -> None:
    problems = check(repository)
    assert not problems, "\n".join(problems)


def test_state_is_integers_and_f8() -> None:
    problems = dtypes(structures())
    assert not problems, "\n".join(problems)


def test_the_repository_is_read(repository: Files) -> None:
    assert {path.split("/")[0] for path in product(repository)} >= {*PACKAGES} - {"loadtests"}
    assert {"Makefile", ".ci/run", "pyproject.toml", "constraints.txt", "results/templates/report.js"} <= set(
        repository
    )
    assert {"engine.records.CUSTOMER", "sim.model.VISITOR"} <= set(structures())


# --- The checks, each seen red ----------------------------------------------------------------------------------------
TOML = '[project]\ndependencies = ["numpy"]\n[project.optional-dependencies]\ndev = ["pytest>=8"]\n'
PINNED = {"pyproject.toml": TOML, "constraints.txt": "# a word\nnumpy==2.1\npytest==9.0\n"}
LONG = "def f():\n" + "    a = 1\n" * 60

PLANTED: list[tuple[Callable[[Files], list[str]], Files, str]] = [
    (arrows, {"engine/decide.py": "from sim.model import Crowd"}, "engine.decide must not import sim.model"),
    (
        arrows,
        {"engine/host/shard.py": "def f():\n    import results.store"},
        ":2: engine.host.shard must not import results",
    ),
    (arrows, {"engine/rules/a.py": "from engine.policy.tables import x"}, "must not import engine.policy.tables"),
    (arrows, {"engine/reference.py": "from engine.rules.a import x"}, "must not import engine.rules.a"),
    (arrows, {"engine/policy/a.py": "import engine.decide"}, "must not import engine.decide"),
    (arrows, {"engine/records.py": "import engine.compiled"}, "must not import engine.compiled"),
    (arrows, {"sim/a.py": "from engine.decide import decide"}, "sim.a must not import engine.decide"),
    (arrows, {"results/a.py": "import engine.host.shard"}, "results.a must not import engine.host.shard"),
    (arrows, {"results/a.py": "from engine import decide", "engine/decide.py": ""}, "must not import engine.decide"),
    (arrows, {"scenarios/a.py": "import loadtests.a"}, "scenarios.a must not import loadtests.a"),
    (arrows, {"scenarios/a.py": "import tests.b"}, "scenarios.a must not import tests.b"),
    (arrows, {"windtunnel.py": "import sim.world"}, "windtunnel must not import sim.world"),
    (arrows, {"results/a.py": "from .b import c"}, "a relative import"),
    (arrows, {"newcomer.py": "import engine.records"}, "newcomer must not import engine.records"),
    (hidden_traits, {"results/a.py": "import scenarios.b", "scenarios/b.py": "import sim.c", "sim/c.py": ""}, "sim.c"),
    (hidden_traits, {"engine/a.py": "from sim import c", "sim/c.py": ""}, "engine.a reaches sim.c"),
    (cycles, {"sim/a.py": "import sim.b", "sim/b.py": "def f():\n    from sim import a"}, "sim.a imports itself"),
    (cycles, {"sim/a.py": "import sim.a"}, "sim.a imports itself"),
    (fences, {"scenarios/a.py": "import ray"}, "ray belongs in engine/host/ray_cluster.py"),
    (fences, {"engine/rules/a.py": "from numba import njit"}, "numba belongs in"),
    (fences, {"scenarios/a.py": "import simpy"}, "simpy belongs in sim/*.py"),
    (fences, {"scenarios/a.py": "from ruamel.yaml import YAML"}, "ruamel belongs in"),
    (fences, {"results/metrics.py": "import pyarrow.parquet as pq"}, "pyarrow belongs in"),
    (fences, {"results/metrics.py": "import duckdb"}, "duckdb belongs in"),
    (fences, {"scenarios/a.py": "import plotly"}, "plotly belongs in"),
    (fences, {"scenarios/run.py": "import typer"}, "typer belongs in"),
    (fences, {"sim/a.py": "from sklearn.svm import SVC"}, "sklearn belongs in scenarios/sorter.py"),
    (fences, {"loadtests/a.py": "import locust"}, "locust belongs in loadtests/locustfile.py"),
    (fences, {"results/a.py": "import pandas"}, "pandas has no fence"),
    (reference_apart, {"engine/reference.py": "import numba"}, "the reference must not use numba"),
    (sizes, {"sim/a.py": "a = 1\n" * 401}, "at most 400 lines (got 401)"),
    (sizes, {"sim/a.py": LONG}, "f must be at most 60 lines (got 61)"),
    (sizes, {"sim/a.py": "def f():\n" + "    a = 1\n" * 14}, "median 15"),
    (empty_packages, {"sim/__init__.py": "from sim.model import Model\n"}, "sim/__init__.py: must be empty"),
    (purity, {"engine/rules/a.py": "import time"}, "must not import time"),
    (purity, {"engine/rules/a.py": "from datetime import date"}, "must not import datetime"),
    (purity, {"engine/decide.py": "import os.path"}, "must not import os.path"),
    (purity, {"engine/decide.py": "def f():\n    print(1)"}, ":2: must not use print"),
    (purity, {"engine/rules/a.py": "text = open('a').read()"}, "must not use open"),
    (purity, {"engine/rules/a.py": "x = np.random.default_rng()"}, "must not use np.random"),
    (purity, {"sim/a.py": "import random"}, "must not import random"),
    (purity, {"sim/a.py": "from numpy.random import default_rng"}, "must not use numpy.random"),
    (machine_paths, {"docs/a.md": "see\nin /" + "work/main"}, "docs/a.md:2: a path of one machine"),
    (machine_paths, {"engine/a.py": 'FOLDER = "/' + 'tmp"'}, "a path of one machine"),
    (pins, {**PINNED, "constraints.txt": "numpy==2.1\n"}, "must pin pytest"),
    (pins, {**PINNED, "constraints.txt": "numpy>=2.1\npytest==9.0\n"}, "name==version (got numpy>=2.1)"),
    (pins, {**PINNED, "constraints.txt": "--index-url https://a.b/simple\nnumpy==2.1\npytest==9.0\n"}, "(got --index"),
    (pins, {**PINNED, "constraints.txt": "numpy==2.1 --hash=sha256:0\npytest==9.0\n"}, "--hash"),
    (pins, {**PINNED, "sim/a.py": "import simpy"}, "simpy is not among the dependencies"),
    (pins, {**PINNED, "sim/a.py": "import pytest"}, "pytest is not among the dependencies"),
]


@pytest.mark.parametrize(("check", "files", "words"), PLANTED)
def test_a_planted_fault_is_seen(check: Callable[[Files], list[str]], files: Files, words: str) -> None:
    assert any(words in problem for problem in check(files)), check(files)


def test_every_check_has_a_planted_fault() -> None:
    assert {check for check, _, _ in PLANTED} == set(CHECKS)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("sim.model.VISITOR", [("spend", "f4")], "spend: must be f8 (got float32)"),
        ("engine.records.CUSTOMER", [("spend", "f8")], "spend: must be an integer (got float64)"),
        ("engine.records.CUSTOMER", [("tags", "u8")], "tags: unsigned is for u8 fields"),
        ("engine.records.CUSTOMER", [("arm_salt", "u4")], "arm_salt: unsigned is for u8 fields"),
        ("engine.records.CUSTOMER", [("open", "?")], "open: must be a number (got bool)"),
        ("engine.records.CAMPAIGN", [("caps", [("most", "f4")], (4,))], "CAMPAIGN.caps.most: must be an integer"),
        ("sim.model.VISITOR", [("react", "f4", (3,))], "react: must be f8 (got float32)"),
    ],
)
def test_a_planted_dtype_is_seen(name: str, fields: list[tuple[str, str]], words: str) -> None:
    assert any(words in problem for problem in dtypes({name: np.dtype(fields)}))


def test_syntax_of_python_3_12_is_seen() -> None:
    with pytest.raises(SyntaxError):
        list(trees({"sim/a.py": "type Rows = list[int]"}))
    with pytest.raises(SyntaxError):
        list(trees({"sim/a.py": "def first[T](rows: list[T]) -> T: ..."}))

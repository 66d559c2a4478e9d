"""Who imports whom, read from the source: the arrows between the rooms point one way."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import udsph_tf

ROOT = Path(udsph_tf.__file__).parent
MODULES = {
    ".".join(("udsph_tf", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

FOUNDATION = (
    "codes",
    "config",
    "config_sections",
    "config_tables",
    "files",
    "restricted_pickle",
    "version",
)
HEAVY = ("keras", "keras_hub", "tensorflow", "tensorflow_text", "ai_edge_litert")
FORBIDDEN = {
    "codes": ("*",),
    "version": ("*",),
    "files": ("*",),
    "restricted_pickle": ("*",),
    "config_tables": ("*",),
    "config": (
        "data",
        "networks",
        "losses",
        "training",
        "evaluation",
        "search",
        "export",
        "serving",
    ),
    "config_sections": (
        "config",
        "data",
        "networks",
        "losses",
        "training",
        "evaluation",
        "search",
        "export",
        "serving",
    ),
    "data": ("networks", "losses", "training", "evaluation", "search", "export", "serving"),
    "losses": ("data", "networks", "training", "evaluation", "search", "export", "serving"),
    "networks": ("data", "losses", "training", "evaluation", "search", "export", "serving"),
    "evaluation": (
        "data",
        "networks",
        "losses",
        "training",
        "search",
        "export",
        "serving",
        "litert",
    ),
    "search": (
        "data",
        "networks",
        "losses",
        "training",
        "evaluation",
        "export",
        "serving",
        "litert",
    ),
    "artefacts": (
        "data",
        "networks",
        "losses",
        "training",
        "evaluation",
        "search",
        "export",
        "serving",
    ),
    "litert": (
        "data",
        "networks",
        "losses",
        "training",
        "evaluation",
        "search",
        "export",
        "serving",
    ),
    "training": ("export", "serving", "search"),
    "export": ("serving", "search"),
    "serving": ("networks", "losses", "training", "evaluation", "export"),
}


def room_of(module):
    """`udsph_tf.data.images` -> `data`; the package itself -> ``."""
    return module.split(".")[1] if "." in module else ""


def imports_of(name):
    """Absolute names of everything that a module imports anywhere in its text."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            # `from udsph_tf.export import probe` imports a module, others a name of one.
            found |= {
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
                for alias in node.names
            }
    return found


def reached_from(name, seen=None):
    """Our modules that importing `name` imports, itself included."""
    seen = set() if seen is None else seen
    if name in seen or name not in MODULES:
        return seen
    seen.add(name)
    for each in imports_of(name):
        reached_from(each, seen)
    # Python runs the `__init__` of every package on the way.
    reached_from(name.rpartition(".")[0], seen)
    return seen


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_room_imports_no_room_above_it(room):
    for name in MODULES:
        if room_of(name) != room:
            continue
        theirs = {
            room_of(each)
            for each in imports_of(name)
            if each.startswith("udsph_tf") and room_of(each) != room
        }
        allowed = FOUNDATION if room in FOUNDATION else None
        wrong = theirs - set(allowed) if allowed else theirs & set(FORBIDDEN[room])
        assert not wrong, f"{name} imports {sorted(wrong)}"


def test_nothing_imports_the_command_line():
    for name in MODULES:
        if name != "udsph_tf.cli" and room_of(name) != "commands":
            assert not {"cli", "commands"} & {room_of(each) for each in imports_of(name)}, name


@pytest.mark.parametrize(
    "room",
    ["evaluation", "search", "codes", "config", "config_sections", "config_tables", "files"],
)
def test_numpy_rooms_reach_neither_keras_nor_tensorflow(room):
    for start in MODULES:
        if room_of(start) != room:
            continue
        for name in reached_from(start):
            heavy = {each.partition(".")[0] for each in imports_of(name)} & set(HEAVY)
            assert not heavy, f"{start} reaches {name}, which imports {sorted(heavy)}"


@pytest.mark.parametrize("room", ["serving", "search"])
def test_deployed_rooms_reach_no_training_code(room):
    for start in MODULES:
        if room_of(start) == room:
            reached = {room_of(each) for each in reached_from(start)}
            wrong = reached & {"training", "networks", "losses", "export"}
            assert not wrong, f"{start} reaches {sorted(wrong)}"


def test_rooms_have_no_circle():
    edges = {}
    for name in MODULES:
        for each in imports_of(name):
            if each.startswith("udsph_tf.") and room_of(each) != room_of(name) != "":
                edges.setdefault(room_of(name), set()).add(room_of(each))
    done = set()

    def visit(room, path):
        assert room not in path, " -> ".join([*path, room])
        if room not in done:
            for each in edges.get(room, ()):
                visit(each, [*path, room])
            done.add(room)

    for room in edges:
        visit(room, [])


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_keeps_the_rules_of_the_house(name):
    lines = MODULES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400, f"{name} has {len(lines)} lines; past 400 it is two modules"
    assert name.rpartition(".")[2] not in ("utils", "common", "helpers", "misc")
    for node in ast.walk(TREES[name]):
        where = f"{name}, line {getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where}: assert"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{where}: bare except"
            caught = {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
            assert not caught & {"Exception", "BaseException"}, f"{where}: blind except"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            spelt = f"{node.value.id}.{node.attr}"
            assert spelt not in ("tf.keras", "pickle.load", "pickle.loads"), f"{where}: {spelt}"
    imported = imports_of(name)
    assert not {each for each in imported if each.startswith("tensorflow.keras")}
    assert not imported & {"cPickle", "dill", "joblib"}


def test_pickle_is_imported_by_the_restricted_reader_alone():
    found = [name for name in MODULES if "pickle" in imports_of(name)]
    assert found == ["udsph_tf.restricted_pickle"]


SCRIPTS = [
    path
    for folder in ("benchmarks", "export", "serving")
    for path in sorted((ROOT.parent / folder).rglob("*.py"))
    if "node_modules" not in path.parts
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT.parent).as_posix())
def test_scripts_import_names_that_the_package_has(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("udsph_tf"):
            module = importlib.import_module(node.module)
            for each in node.names:
                is_module = f"{node.module}.{each.name}" in MODULES
                assert is_module or hasattr(module, each.name), f"{node.module}: {each.name}"


IMPORT_ALONE = """
import json, os, random, sys
before, state, opened = set(sys.modules), random.getstate(), []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import udsph_tf
names = dir(udsph_tf)
print(json.dumps({
    "modules": sorted(set(sys.modules) - before),
    "opened": opened,
    "seeded": random.getstate() != state,
    "names": names,
}))
"""


def test_import_of_the_package_loads_opens_and_seeds_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    said = json.loads(done.stdout)
    top = {name.partition(".")[0] for name in said["modules"]}
    assert not top & {*HEAVY, "numpy", "PIL", "faiss", "matplotlib", "absl", "tqdm"}
    ours = {name for name in said["modules"] if name.startswith("udsph_tf")}
    assert ours == {"udsph_tf", "udsph_tf.version"}
    # Python itself opens the modules, or what it has compiled of them.
    assert not [path for path in said["opened"] if not path.endswith((".py", ".pyc"))]
    assert not [path for path in said["opened"] if str(tmp_path) in path]
    assert not said["seeded"]
    assert "UDSPH" in said["names"]
    assert done.stderr == ""

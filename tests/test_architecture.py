"""Imports go one way, and the core needs only the core's packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "offclip"

# Part of the package → the parts it may import. The ground may be imported by all.
GROUND = {"files", "keys", "marks", "folders"}
ALLOWED = {
    "files": set(),
    "keys": set(),
    "marks": set(),
    "folders": set(),
    "scores": set(),
    "imaging": set(),
    "parameters": set(),
    "plotting": {"scores"},
    "toys": {"plotting"},
    "explorer": {"text"},
    "text": set(),
    "phantom": set(),
    "losses": {"scores"},
    "models": {"scores", "imaging"},
    "data": {"text", "phantom", "imaging"},
    "rehearsal": {"data", "phantom"},
    "privacy": {"data", "text"},
    "training": {"scores", "losses", "models", "data", "text", "phantom"},
    "evaluation": {"scores", "imaging", "losses", "models", "data", "text", "phantom", "training"},
    "study": set("scores imaging losses models data text phantom training evaluation".split()),
    "cli": None,  # the command line may import everything
    "__main__": None,
}
CORE = ("losses", "models", "training", "phantom", "evaluation")
CORE_PACKAGES = (
    "torch transformers huggingface_hub accelerate safetensors filelock numpy scipy pandas pyarrow "
    "sklearn jaxtyping"
).split()
CORE_DISTRIBUTIONS = [
    {"sklearn": "scikit-learn", "huggingface_hub": "huggingface-hub"}.get(name, name)
    for name in CORE_PACKAGES
]

# Hides every installed package outside the closure of the core's requirements, then imports.
IMPORT_CORE = """
import re, sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions, requires, PackageNotFoundError

def plain(name):
    return re.sub("[-_.]+", "-", name).lower()

allowed, waiting = set(), {names!r}
while waiting:
    name = plain(waiting.pop())
    if name in allowed:
        continue
    allowed.add(name)
    try:
        lines = [line for line in requires(name) or [] if "extra ==" not in line]
    except PackageNotFoundError:
        continue
    waiting += [re.match("[A-Za-z0-9._-]+", line).group() for line in lines]
owners = packages_distributions()
hidden = {{top for top, names in owners.items()
          if top != "offclip" and not any(plain(n) in allowed for n in names)}}

class Core(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path = [Core if finder is PathFinder else finder for finder in sys.meta_path]
assert "matplotlib" in hidden and "pandera" in hidden, sorted(hidden)
for part in {parts!r}:
    import_module("offclip." + part)
"""


def parts():
    names = {p.stem if p.is_file() else p.name for p in PACKAGE.iterdir() if _is_part(p)}
    return sorted(names - {"__init__"})


def _is_part(path):
    return path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))


def sources(part):
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]


def imported(path, *, top_level_only=False):
    """Full names of the modules that the file imports (relative imports resolved)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = [*path.relative_to(ROOT).parent.parts]
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if module == "offclip":
                yield from (f"offclip.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("part", parts())
def test_imports_go_one_way(part):
    assert part in ALLOWED, f"offclip.{part} is new: say in ALLOWED what it may import"
    if ALLOWED[part] is None:
        return
    allowed = ALLOWED[part] | {part, "__version__"} | (GROUND if part != "files" else set())
    for path in sources(part):
        names = [n.split(".")[1] for n in imported(path) if n.startswith("offclip.")]
        back = sorted(set(names) - allowed)
        assert not back, f"{path.relative_to(ROOT)} imports offclip.{back[0]}, against the order"


def test_the_allowed_order_has_no_cycle():
    done = set()
    waiting = {name: needs for name, needs in ALLOWED.items() if needs is not None}
    while waiting:
        ready = [name for name, needs in waiting.items() if needs <= done]
        assert ready, f"a cycle among {sorted(waiting)}"
        done |= set(ready)
        waiting = {name: needs for name, needs in waiting.items() if name not in ready}


@pytest.mark.parametrize("part", [part for part in CORE if part in parts()])
def test_core_modules_import_core_packages_only_at_the_top(part):
    # tokenizers is the half of transformers that is written in Rust, and always comes with it
    known = {*sys.stdlib_module_names, *CORE_PACKAGES, "tokenizers", "offclip"}
    for path in sources(part):
        tops = {name.partition(".")[0] for name in imported(path, top_level_only=True)}
        assert tops <= known, f"{path.relative_to(ROOT)} imports {sorted(tops - known)} at its top"


def test_core_imports_on_a_bare_machine():
    here = [f"{part}" for part in CORE if part in parts()]
    code = IMPORT_CORE.format(names=CORE_DISTRIBUTIONS, parts=here)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]

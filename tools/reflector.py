"""Writes the reflector as one file that runs wherever there is Python 3.10: the same bytes from the same sources.

python tools/reflector.py [FILE]
"""

from __future__ import annotations

import ast
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = ROOT / "dist" / "netwatch-reflector.pyz"
START = "netwatch.reflector.__main__"
MAIN = """import sys

if sys.version_info < (3, 10):
    sys.exit("netwatch-reflector needs Python 3.10 or later, this is " + sys.version.split()[0])
from netwatch.reflector.__main__ import main

main()
"""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
INTERPRETER = b"#!/usr/bin/env python3\n"


def sources() -> list[Path]:
    """All that the reflector imports, directly or not. SystemExit when that is not of the standard library or ours."""
    found: set[Path] = set()
    waiting = [START]
    while waiting:
        module = waiting.pop()
        if module.partition(".")[0] not in {"netwatch", "probes"}:
            if module.partition(".")[0] not in sys.stdlib_module_names:
                sys.exit(f"the reflector is to travel alone, and imports {module}")
            continue
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path in found or not path.exists():  # a name in a module, not a module
            continue
        found.add(path)
        waiting += [module.rpartition(".")[0]] if "." in module else []
        waiting += _imported(ast.parse(path.read_bytes()))
    return sorted(found)


def _imported(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def main(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        out.write(INTERPRETER)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("__main__.py", LONG_AGO), MAIN)
            for path in sources():
                name = path.relative_to(ROOT).as_posix()
                archive.writestr(zipfile.ZipInfo(name, LONG_AGO), path.read_bytes(), zipfile.ZIP_DEFLATED)
    file.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)

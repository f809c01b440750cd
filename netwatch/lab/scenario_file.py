"""Scenario files on the disk: the shipped ones by name, others by path."""

from __future__ import annotations

from pathlib import Path

from netwatch import _yaml
from netwatch.lab.complaints import ScenarioRefused
from netwatch.lab.faults import Scenario
from netwatch.lab.scenario import read_scenario
from netwatch.model import Inventory

__all__ = ["SCHEMA_PATH", "find", "load", "shipped"]

FOLDER = Path(__file__).parent / "scenarios"
SCHEMA_PATH = Path(__file__).parent / "scenario.schema.json"


def shipped() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def find(name_or_path: str) -> Path:
    """The file of a shipped scenario, or the path as it is; there may be nothing at it."""
    return FOLDER / f"{name_or_path}.yaml" if name_or_path in shipped() else Path(name_or_path)


def load(path: Path, inventory: Inventory | None = None) -> Scenario:
    """Reads a scenario file. Raises ScenarioRefused with every complaint at its line."""
    try:
        document = _yaml.read(path)
    except _yaml.YamlRefused as refused:
        raise ScenarioRefused(refused.complaints) from refused
    if document.complaints:
        raise ScenarioRefused(document.complaints)
    return read_scenario(document.value, inventory, lambda keys, at_key: document.place(keys, key=at_key))

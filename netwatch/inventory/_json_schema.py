"""The JSON schema of inventory.yaml, for editors: draft 7, which yaml-language-server understands."""

from __future__ import annotations

from typing import Any

from netwatch.inventory._schema import NAME, CheckEntry, File, RuleEntry

__all__ = ["json_schema"]

DRAFT = "http://json-schema.org/draft-07/schema#"
BY_NAME = {"properties": "properties", "patternProperties": "patternProperties", "$defs": "definitions"}
REFERENCE = r"\$\{"  # ${VARIABLE} and ${file:…} may stand in any text


def json_schema() -> dict[str, Any]:
    """What an editor can judge; `inventory check` judges the rest: what refers to what, and the options of each probe."""
    schema: dict[str, Any] = _draft_7(File.model_json_schema(mode="validation"))
    definitions = schema["definitions"]
    for entry in (CheckEntry, RuleEntry):
        own = _draft_7(entry.model_json_schema(mode="validation"))
        definitions.update(own.pop("definitions", {}))
        # Checks and rules are laid over each other: each layer may say as little as it likes, and a check has its probe's keys too.
        definitions[entry.__name__] = {**own, "required": [], "additionalProperties": entry is CheckEntry}
    for definition in definitions.values():
        for part, entry in (("checks", CheckEntry), ("rules", RuleEntry)):
            if part in definition.get("properties", {}):
                one = {"anyOf": [{"$ref": f"#/definitions/{entry.__name__}"}, {"type": "null"}]}
                definition["properties"][part]["patternProperties"] = {NAME: one}
    return {"$schema": DRAFT, **schema, "title": "netwatch inventory"}


def _draft_7(part: Any) -> Any:
    """Newer keywords by their older names, patterns that let references through, and no titles that only repeat the key."""
    if isinstance(part, list):
        return [_draft_7(one) for one in part]
    if not isinstance(part, dict):
        return part
    made: dict[str, Any] = {}
    for key, value in part.items():
        if key in BY_NAME:
            made[BY_NAME[key]] = {name: _draft_7(one) for name, one in value.items()}
        elif key == "$ref":
            made[key] = value.replace("#/$defs/", "#/definitions/")
        elif key == "pattern":
            made[key] = f"(?:{value})|{REFERENCE}"
        elif key != "title" and (key != "default" or isinstance(value, str | int | float)):
            made[key] = _draft_7(value)
    if "patternProperties" in made:
        made["additionalProperties"] = False
    return made

"""The JSON Schemas of what a watch tells."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

SPEC = Path(__file__).parents[2] / "spec"


def violations(name: str, value: object) -> list[str]:
    """Return where a value does not keep to the schema of that name."""
    schema = json.loads((SPEC / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]

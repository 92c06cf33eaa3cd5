"""The JSON Schema of a policy, for editors: completion and first checks while a strategist types."""

from typing import Any

from engine.policy.document import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """Of the file as written (yuan, durations, shares), not of the engine's units."""
    schema = Policy.model_json_schema(mode="validation", by_alias=True)
    return {"$schema": DIALECT, "title": "windtunnel policy", **without_engine_units(schema)}


def without_engine_units(schema: Any) -> Any:
    """Without what only the engine sees: defaults in its units, and null, which a file says by leaving a field out."""
    if isinstance(schema, list):
        return [without_engine_units(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    names_fields = "properties" in schema
    kept = {key: value for key, value in schema.items() if key != "default" or isinstance(value, str | bool)}
    result = {key: without_engine_units(value) for key, value in kept.items()}
    if names_fields:  # a field may be called like a keyword of JSON Schema
        result["properties"] = {name: without_engine_units(field) for name, field in schema["properties"].items()}
    options = result.get("anyOf", [])
    return (
        {**{key: value for key, value in result.items() if key != "anyOf"}, **options[0]}
        if len(options) == 1
        else result
    )

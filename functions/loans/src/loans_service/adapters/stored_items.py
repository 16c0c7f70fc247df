"""How the items of the loans table are changed: by named attributes, so that what a newer version stored stays.

Some attributes had other names in older versions. Readers understand both names; the next versioned write of an item
stores the new names and removes the old ones.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from library_common.dynamodb import Expression, Item


def with_current_names(item: Mapping[str, Any], old_names: Mapping[str, str]) -> Item:
    """The item with its old attributes under their new names. old_names: new name -> old name."""
    return {**item, **{new: item[old] for new, old in old_names.items() if old in item and new not in item}}


def set_only(attributes: Mapping[str, Any], *, remove: Iterable[str] = ()) -> Expression:
    """An update that sets these attributes and no others. It removes those that are None, and those in `remove`."""
    values = {name: value for name, value in attributes.items() if value is not None}
    removed = [*(name for name in attributes if name not in values), *remove]
    clauses = [
        "SET " + ", ".join(f"#{name} = :{name}" for name in values) if values else "",
        "REMOVE " + ", ".join(f"#{name}" for name in removed) if removed else "",
    ]
    return Expression(" ".join(clauses), {name: name for name in (*values, *removed)}, values)


def was_version(version: int) -> Expression:
    """The condition that the item still has this version, under the new or the old name of the attribute."""
    return Expression(
        "(#version = :was_version OR (attribute_not_exists(#version) AND #v = :was_version))",
        {"version": "version", "v": "v"},
        {"was_version": version},
    )

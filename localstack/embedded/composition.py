"""The root template: which stacks the system consists of, and in which order they are deployed."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from localstack.embedded import template
from localstack.embedded.errors import Refusal

APPLICATION = "AWS::Serverless::Application"


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of the system. name: as commands call it, such as "loans"."""

    name: str
    template_file: Path

    def stack_name(self, system: str) -> str:
        """Its name in CloudFormation."""
        return f"{system}-{self.name}"


def stacks(root: Path) -> list[Stack]:
    """All stacks of the root template in the order of deployment: each comes after those it depends on.

    Refuses when the root holds anything else, or when stacks wait for each other.
    """
    resources = template.load(root)["Resources"]
    waits_for: dict[str, list[str]] = {}
    for logical_id, resource in resources.items():
        if resource.get("Type") != APPLICATION:
            other = f"a {resource['Type']}" if "Type" in resource else "a resource without a type"
            raise Refusal(f"{root.name} may hold only {APPLICATION}, but {logical_id} is {other}.")
        named = resource.get("DependsOn", [])
        waits_for[logical_id] = [named] if isinstance(named, str) else list(named)
        for name in waits_for[logical_id]:
            if name not in resources:
                raise Refusal(f"{root.name} has no stack {name}, but {logical_id} depends on it.")
    try:
        order = list(TopologicalSorter(waits_for).static_order())
    except CycleError as error:
        raise Refusal(f"{root.name} has stacks that wait for each other: {', '.join(error.args[1])}.") from None
    # Stacks of the same rank come in the order of the template.
    ranks: dict[str, int] = {}
    for name in order:
        ranks[name] = max((ranks[before] + 1 for before in waits_for[name]), default=0)
    ordered = sorted(resources, key=lambda name: ranks[name])
    return [Stack(name.lower(), root.parent / resources[name]["Properties"]["Location"]) for name in ordered]


def chosen(root: Path, name: str | None) -> list[Stack]:
    """All stacks, or the one called so. Refuses when there is none."""
    everything = stacks(root)
    if name is None:
        return everything
    found = [stack for stack in everything if stack.name == name.lower()]
    if not found:
        raise Refusal(f"There is no stack {name}. There are: {', '.join(stack.name for stack in everything)}.")
    return found

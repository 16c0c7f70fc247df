"""Hundreds of seeded histories of a library in which processes die and the network misbehaves."""

import pytest

from tests.depth import at_depth
from tests.resilience.simulation import Simulation

pytestmark = pytest.mark.resilience

BLOCKS = 8
SEEDS_PER_BLOCK = at_depth(quick=15, full=150)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_invariant_survives_every_history(block: int) -> None:
    for seed in range(block * SEEDS_PER_BLOCK, (block + 1) * SEEDS_PER_BLOCK):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}; so far {simulation.happened}") from broken


def test_the_histories_contain_what_they_are_meant_to() -> None:
    # Otherwise the test above proves little.
    happened: dict[str, int] = {}
    for seed in range(at_depth(quick=80, full=200)):
        simulation = Simulation(seed)
        simulation.run()
        for what, times in simulation.happened.items():
            happened[what] = happened.get(what, 0) + times
    for expected in (
        "_lend",
        "_lend_with_key",
        "_return",
        "_extend",
        "_edit",
        "_recover",
        "_erase",
        "_lend:user_not_found",
        "_lend:checkout_unresolved",
        "_lend:service_unavailable",
        "_lend:no_copies_available",
        "_lend:loan_limit_reached",
        "_lend_with_key:checkout_unresolved",
    ):
        assert happened.get(expected, 0) > at_depth(quick=1, full=5), f"{expected}: {happened}"


def test_the_same_seed_gives_the_same_history() -> None:
    # What makes a failure above worth anything.
    for seed in range(at_depth(quick=5, full=20)):
        first, second = Simulation(seed), Simulation(seed)
        first.run()
        second.run()
        assert first.happened == second.happened

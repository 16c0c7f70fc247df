"""Many requests at one title at the same moment, in hundreds of orders. The rules checked are in the traffic."""

import pytest

from tests.depth import at_depth
from tests.fakes.book_traffic import Traffic
from tests.fakes.books import MemoryCatalogue

pytestmark = pytest.mark.unit

BLOCKS = 8
SEEDS_PER_BLOCK = at_depth(quick=12, full=100)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_any_order_of_anything(block: int) -> None:
    for seed in range(block * SEEDS_PER_BLOCK, (block + 1) * SEEDS_PER_BLOCK):
        Traffic(MemoryCatalogue(), seed).run()


def test_the_traffic_is_dense_enough_to_collide() -> None:
    # Otherwise the test above proves nothing.
    lost = taken = released = 0
    for seed in range(100):
        traffic = Traffic(MemoryCatalogue(), seed)
        traffic.run()
        lost += traffic.stepped.lost_races
        taken += len(traffic.taken)
        released += len(traffic.released)
    assert lost > 100
    assert taken > 50
    assert released > 50

"""`make bench`: measures the budgets, prints them and writes `.local/bench.json`. Fails when one does not hold.

`--seconds N` sets how long the load lasts (60), `--clients N` how many there are (16), `--queued N` how many events a
consumer has to catch up with (10,000). `--consumers` measures the consumers of the bus and nothing else; `--costs` only
adds up what the library costs (`tests.performance.cost`), which every run writes into docs/architecture.md.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from localstack.embedded import composition, template
from localstack.embedded.layout import LOCAL, TEMPLATE
from localstack.embedded.stack import LocalStack
from tests.performance import consumers, cost, loan_units, measuring
from tests.performance.measuring import Measurement
from tests.support.invariants import violations
from tests.support.library_client import LibraryClient

# The load is to be served, not refused; what a member's requests cost the limiter is measured with the defaults'
# lease, and a capacity that sixteen clients on a fast machine do not use up.
UNTHROTTLED = {
    "RateLimits": json.dumps(
        {"member": {"capacity": 3000}, "anonymous": {"capacity": 1_000_000}, "staff": {"capacity": 1_000_000}}
    ),
    "LoanPolicy": json.dumps({"loans_per_hour": 1000}),
}


def main() -> int:
    """Prints each measurement as it is made. Exit status 1 when a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--consumers", action="store_true")
    parser.add_argument("--costs", action="store_true")
    arguments = parser.parse_args()

    done: list[Measurement] = []
    print(f"Python {platform.python_version()}, MiniStack {version('ministack')}, {platform.machine()}")
    if arguments.costs:
        measured = _costs()
    elif arguments.consumers:
        measured = _consumers(arguments.queued)
    else:
        measured = _everything(arguments.clients, arguments.seconds, arguments.queued)
    for measurement in measured:
        print(measurement.line(), flush=True)
        done.append(measurement)
    LOCAL.path.mkdir(exist_ok=True)
    target = LOCAL.path / "bench.json"
    target.write_text(json.dumps([asdict(m) | {"holds": m.holds} for m in done], indent=2) + "\n")
    over = [m.what for m in done if not m.holds]
    print(f"{len(done)} measured, {len(over)} over budget; written to {target.name}")
    for what in over:
        print(f"over budget: {what}")
    return 1 if over else 0


def _everything(clients: int, seconds: float, queued: int) -> Iterator[Measurement]:
    yield from _costs()
    yield from measuring.import_times()
    yield from measuring.authorizer_cost()
    yield from measuring.unzipped_sizes()
    yield measuring.seconds_to_run()
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalStack.start(Path(scratch), seed=True, parameters=UNTHROTTLED) as stack,
    ):
        library = LibraryClient(base_url=stack.base_url, mint=stack.mint_token)
        yield from loan_units.loan_units(stack, library)
        yield from measuring.request_units(stack, library)
        yield from measuring.limits_cost(stack, library)
        load = measuring.hold_under_load(library, clients=clients, seconds=seconds)
        yield from load.measurements(clients)
        for line in load.unexplained[:20]:
            print("     ", line)
        broken = violations(stack)
        for line in broken[:20]:
            print("     ", line)
        yield Measurement("invariants broken after the load", len(broken), "sentences", 0)
        yield from consumers.consumers(stack, queued=queued)


def _costs() -> Iterator[Measurement]:
    system = cost.System({found.name: template.load(found.template_file) for found in composition.stacks(TEMPLATE)})
    cost.write(system)
    yield from cost.measurements(system)


def _consumers(queued: int) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as scratch, LocalStack.start(Path(scratch)) as stack:
        yield from consumers.consumers(stack, queued=queued)


if __name__ == "__main__":
    sys.exit(main())

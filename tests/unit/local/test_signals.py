"""Every usual way of ending a run lets it stop in order."""

import signal

import pytest

from localstack.embedded.run import stopping_on_signals

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_becomes_an_interruption_that_can_be_handled(how: signal.Signals) -> None:
    before = signal.getsignal(how)

    with stopping_on_signals(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(how)

    assert signal.getsignal(how) is before

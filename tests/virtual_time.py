"""An event loop whose clock leaps to the next thing that is due: an hour of waiting takes no time."""

import asyncio
import selectors


class _Leaping(selectors.DefaultSelector):
    """Never waits: time passes instead."""

    loop = None

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout is None:
            raise AssertionError("everybody waits and nothing is due")
        if not found and timeout > 0:
            self.loop.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        selector = _Leaping()
        super().__init__(selector)
        selector.loop = self
        self.now = 1_000.0

    def time(self):
        return self.now


def run(scenario):
    """As asyncio.run, in virtual time. Nothing in it may talk to the real world."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)

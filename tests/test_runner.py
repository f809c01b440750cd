import asyncio
import errno
import socket
from dataclasses import dataclass, field, replace

import pytest

from netwatch.model import STOPPED, Outcome, Sample
from netwatch.runner import Runner
from probes import Probe, ProbeFailed, ProbeMisconfigured, Reading
from tests.worlds import WALL, check


@dataclass(kw_only=True, eq=False)
class Scripted(Probe):
    """Does what it is told."""

    act: object = field(repr=False)

    async def run(self, target, shared):
        return await self.act(target)


def run(act, **keys):
    item = replace(check("s/d/x"), probe=Scripted(act=act), **keys)
    return asyncio.run(Runner(lambda: WALL).run(item))


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Outcome.FAILED, "refused"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Outcome.FAILED, "reset"),
        (OSError(errno.EHOSTUNREACH, "no route to host"), Outcome.FAILED, "host_unreachable"),
        (TimeoutError(), Outcome.FAILED, "timeout"),
        (ProbeFailed("status", "HTTP 500"), Outcome.FAILED, "status"),
        (ProbeMisconfigured("unknown_user"), Outcome.ERROR, "unknown_user"),
        (OSError(errno.EMFILE, "too many open files"), Outcome.ERROR, "emfile"),
        (PermissionError(errno.EPERM, "not permitted"), Outcome.ERROR, "eperm"),
        (OSError(errno.ENETUNREACH, "network unreachable"), Outcome.ERROR, "enetunreach"),
        (socket.gaierror(-2, "name unknown"), Outcome.ERROR, "resolve"),
        (ZeroDivisionError(), Outcome.ERROR, "bug"),
    ],
)
def test_the_fault_is_the_devices_or_ours(error, outcome, code):
    async def act(_target):
        raise error

    result = run(act)
    assert (result.outcome, result.code) == (outcome, code)


def test_a_run_that_is_cut_off_keeps_what_was_reported():
    async def act(target):
        target.report(Sample("x", (1.0,)))
        await asyncio.Event().wait()

    result = run(act, timeout_seconds=0.05)
    assert (result.outcome, result.code) == (Outcome.FAILED, "timeout")
    assert result.samples == (Sample("x", (1.0,)),)


def test_a_run_that_is_stopped_keeps_what_was_reported_and_blames_nobody():
    ended = []

    async def act(target):
        target.report(Sample("bytes", (5.0,)))
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
            target.report(Sample("bytes", (6.0,)))

    async def main():
        runner = Runner(lambda: WALL)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = group.create_task(runner.run(replace(check("s/d/x"), probe=Scripted(act=act), timeout_seconds=60.0)))
            await began.wait()
            assert runner.stop("s/d/x")
        assert not runner.stop("s/d/x")
        return task.result()

    began = asyncio.Event()
    result = asyncio.run(main())
    assert (result.outcome, result.code, ended) == (Outcome.OK, STOPPED, [True])
    assert result.samples == (Sample("bytes", (5.0,)), Sample("bytes", (6.0,)))


def test_a_run_that_times_out_after_one_was_stopped_has_timed_out():
    async def act(_target):
        began.set()
        await asyncio.Event().wait()

    async def main():
        runner = Runner(lambda: WALL)
        item = replace(check("s/d/x"), probe=Scripted(act=act), timeout_seconds=0.05)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(runner.run(item))
            await began.wait()
            runner.stop("s/d/x")
        return await runner.run(item)

    began = asyncio.Event()
    assert asyncio.run(main()).code == "timeout"


def test_a_failure_keeps_what_was_measured():
    async def act(_target):
        raise ProbeFailed("status", reading=Reading((Sample("http_status_code", (500.0,)),), detail="HTTP 500"))

    result = run(act)
    assert result.samples[0].values == (500.0,)
    assert result.detail == "HTTP 500"


def test_a_good_run_says_when_it_began_and_for_which_inventory():
    async def act(_target):
        return Reading((Sample("x", (1.0,)),), {"sysName": "sw1"})

    item = replace(check("s/d/x"), probe=Scripted(act=act))
    result = asyncio.run(Runner(lambda: WALL).run(item, "human", generation=7))
    assert (result.outcome, result.generation, result.reason, result.wall) == (Outcome.OK, 7, "human", WALL)
    assert dict(result.facts) == {"sysName": "sw1"}


def test_a_soft_recheck_asks_the_probe_for_its_quick_form():
    seen = []

    async def act(target):
        seen.append(target.recheck)
        return Reading()

    item = replace(check("s/d/x"), probe=Scripted(act=act))

    async def main():
        for reason in ("schedule", "soft", "parent", "human"):
            await Runner(lambda: WALL).run(item, reason)

    asyncio.run(main())
    assert seen == [False, True, True, False]


def test_a_missing_permission_is_known_before_the_first_run():
    @dataclass(kw_only=True, eq=False)
    class Forbidden(Probe):
        """Needs what is not allowed."""

        async def prepare(self, shared):
            raise PermissionError(errno.EPERM, "not permitted")

        async def run(self, target, shared):
            return Reading()

    with pytest.raises(PermissionError):
        asyncio.run(Runner(lambda: WALL).prepare([replace(check("s/d/x"), probe=Forbidden())]))


@pytest.mark.parametrize(("late", "outcome"), [(0.5, Outcome.FAILED), (600.0, Outcome.ERROR)])
def test_a_run_that_we_slept_through_is_our_fault(late, outcome):
    async def act(_target):
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.time = lambda: began + 3.0 + late  # as after SIGSTOP: the clock went on without us
        raise ProbeFailed("timeout")

    result = run(act)
    assert (result.outcome, result.code) == (outcome, "timeout" if outcome is Outcome.FAILED else "stalled")


def test_an_answer_we_slept_through_is_an_answer_all_the_same():
    async def act(_target):
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.time = lambda: began + 600.0
        return Reading()

    assert run(act).outcome is Outcome.OK


@dataclass(kw_only=True, eq=False)
class Quick(Probe):
    """Begins as it is told; `run` is never asked for."""

    begun: object = field(repr=False)

    def begin(self, target, shared, ended):
        return self.begun(target, ended)

    async def run(self, target, shared):
        raise AssertionError


def began(begun, **keys):
    """What the runner made of a run without a task: whether it began, and its results."""

    async def scenario():
        given = []
        item = replace(check("s/d/x"), probe=Quick(begun=begun), **keys)
        taken = Runner(lambda: WALL).begin(item, given.append, "schedule", 3)
        return taken, [result() for result in given]

    return asyncio.run(scenario())


def raising(error):
    def reading():
        raise error

    return reading


def test_a_run_without_a_task_gives_the_result_that_run_would():
    def begun(target, ended):
        target.report(Sample("x", (1.0,)))
        ended(lambda: Reading((Sample("y", (2.0,)),), {"fact": "f"}))
        return True

    taken, (result,) = began(begun)
    assert taken
    assert (result.outcome, result.check, result.wall, result.generation) == (Outcome.OK, "s/d/x", WALL, 3)
    assert result.samples == (Sample("x", (1.0,)), Sample("y", (2.0,)))
    assert result.facts == {"fact": "f"}


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (ProbeFailed("host_unreachable"), Outcome.FAILED, "host_unreachable"),
        (OSError(errno.ENOBUFS, "no room"), Outcome.ERROR, "enobufs"),
        (ZeroDivisionError(), Outcome.ERROR, "bug"),
    ],
)
@pytest.mark.parametrize("when", ["beginning", "ending"])
def test_whatever_a_run_without_a_task_raises_is_a_result(error, outcome, code, when):
    def begun(_target, ended):
        if when == "beginning":
            raise error
        ended(raising(error))
        return True

    taken, (result,) = began(begun)
    assert taken
    assert (result.outcome, result.code) == (outcome, code)


def test_a_probe_that_did_not_begin_has_no_result_yet():
    assert began(lambda _target, _ended: False) == (False, [])


def test_a_run_without_a_task_that_we_slept_through_is_our_fault():
    def begun(_target, ended):
        loop = asyncio.get_running_loop()
        later = loop.time() + 600.0
        loop.time = lambda: later
        ended(raising(ProbeFailed("timeout")))
        return True

    _, (result,) = began(begun)
    assert (result.outcome, result.code) == (Outcome.ERROR, "stalled")
    assert result.duration_seconds >= 600.0


def test_what_others_are_expected_to_send_reaches_the_probe():
    seen = []

    async def act(target):
        seen.append(target.others_bits_per_second)
        return Reading()

    item = replace(check("s/d/x"), probe=Scripted(act=act))
    asyncio.run(Runner(lambda: WALL).run(item, "schedule", 0, 5e6))
    run(act)
    assert seen == [5e6, 0.0]

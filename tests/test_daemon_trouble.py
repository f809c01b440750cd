"""Trouble of the daemon's own: no descriptors left, stopped with everything hanging, told twice to stop."""

import asyncio
import contextlib
import resource
import signal
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from netwatch import _commits
from netwatch.daemon import Daemon
from netwatch.history import History
from netwatch.inventory import InventoryRefused
from netwatch.model import Inventory, PagerSettings, Site
from probes import Probe, Reading
from tests.servers import HANG, http_receiver
from tests.test_commits import effects, until
from tests.test_daemon import Place, accepting, pages, place, wait_until  # noqa: F401  # fixtures
from tests.worlds import check


def test_running_out_of_descriptors_is_our_trouble_and_no_device_is_paged_for_it(place: Place, pages):  # noqa: F811  # fixtures
    with accepting(place.tcp):
        daemon = place.start()
        wait_until(lambda: 'netwatch_tcp_connect_seconds{site="na-tau",target="counter"' in place.metrics())
        _, most = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, most))
        wait_until(lambda: "check=na-tau/counter/port" in place.logs() and "new=unknown" in place.logs())
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, most))
        recovered = pages.wait_for("recover")
        assert daemon.poll() is None
    assert recovered["incident"]["cause"] == {"type": "netwatch", "name": "errors"}
    assert {page["incident"]["cause"]["type"] for page in pages.pages} == {"netwatch"}


def test_own_words_that_cannot_be_used_are_logged_and_stop_nothing(place: Place):  # noqa: F811  # a fixture
    (place.directory / "texts").mkdir()
    (place.directory / "texts" / "vi.json").write_text('{"opne_site": "x"}', "utf-8")
    daemon = place.start()
    wait_until(lambda: "not all of it is as it should be" in place.logs())
    assert "texts/vi.json:1:2: opne_site: " in place.logs()
    assert daemon.poll() is None


@dataclass(kw_only=True, eq=False)
class Hanging(Probe):
    running: set

    async def run(self, target, shared):
        self.running.add(target.address)
        try:
            await asyncio.Event().wait()
        finally:
            self.running.discard(target.address)
        return Reading()


def hanging_inventory(pager_url):
    running, checks = set(), {}
    for number in range(500):
        item = check(f"s{number % 10}/d{number}/x", interval=1.0)
        checks[item.id] = replace(item, kind="tcp", probe=Hanging(running=running), address=str(number), timeout_seconds=600.0)
    sites = {f"s{number}": Site(id=f"s{number}", name="x") for number in range(10)}
    noc = PagerSettings(name="noc", kind="webhook", options={"url": pager_url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    return running, Inventory(sites=sites, checks=checks, pagers={"noc": noc})


def test_a_stop_waits_for_no_pager_and_no_probe_that_hangs(tmp_path):
    async def scenario():
        async with http_receiver(default=(HANG, {})) as receiver:
            running, watched = hanging_inventory(receiver.url)
            good = True

            def load():
                if not good:
                    raise InventoryRefused(())
                return watched

            daemon = Daemon(
                inventory_path=Path("inventory.yaml"),
                state_directory=tmp_path,
                load=load,
                listener=socket.create_server(("127.0.0.1", 0)),
                control_path=tmp_path / "api.sock",
            )
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                ends = group.create_task(daemon.run())
                await until_awake(lambda: len(running) == 500)
                good = False
                await daemon.reload()
                await receiver.wait_for(1)
                daemon.stop()
                async with asyncio.timeout(25):
                    await ends
            assert not running
        async with await History.open(tmp_path) as history:
            assert [row.page.kind for row in (await history.load()).outbox] == ["open"]  # it will be sent by the next process

    asyncio.run(scenario())


async def until_awake(true):
    while not true():  # noqa: ASYNC110  # what it waits for is a state of other tasks
        await asyncio.sleep(0.05)


def test_a_second_signal_ends_it_at_once(place: Place):  # noqa: F811  # fixture
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place.webhook = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        place.write()
        daemon = place.start()
        silent.settimeout(30)
        with contextlib.closing(silent.accept()[0]):  # the counter is down, and its page hangs: that is two seconds of stopping
            daemon.send_signal(signal.SIGTERM)
            wait_until(lambda: daemon.poll() is not None or not catches(daemon.pid, signal.SIGTERM))
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(30) == -signal.SIGTERM


def catches(pid, number):
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_how_a_page_ended_finds_its_row_though_the_disk_hung_when_it_was_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(_commits, "PATIENCE_SECONDS", 0.01)

    async def scenario():
        async with await History.open(tmp_path) as history, asyncio.timeout(30):
            sent = []
            commits = _commits.Commits(history, wall=lambda: 1.0, announce=nothing, written=lambda rows, effects: sent.extend(rows))
            async with asyncio.TaskGroup() as group:
                group.create_task(commits.run())
                commits.put(effects(1), {"s/d/c": "x"})
                await until(lambda: sent)  # nobody writes: the disk hangs
                ended = group.create_task(history.page_sent(sent[0].id, "", 2.0))
                await asyncio.sleep(0)
                group.create_task(history.run())
                await ended
                commits.stop()
                await history.close()
        async with await History.open(tmp_path) as history:
            stored = await history.load()
            assert stored.outbox == ()
            assert [one.id for one in stored.incidents] == [1]
            assert dict(stored.memories) == {"s/d/c": "x"}

    async def nothing():
        pass

    asyncio.run(scenario())

import asyncio
import json
import logging
import sys
import threading

import pytest

from netwatch.pagers import Busy, PagerMisconfigured, Receipt
from netwatch.pagers.apprise import MOST_THREADS
from tests.pager_cases import NASTY, TEXT, page, pager, send, texted
from tests.pager_servers import HANG, Mode, Status, hostile
from tests.pager_services import Accepts

pytestmark = pytest.mark.filterwarnings("ignore:.*slated for removal:DeprecationWarning")  # apprise imports imghdr


def apprise(url, schema="json"):
    return pager("apprise", url=f"{schema}://user:canary@{url.removeprefix('http://')}/canary?cto=1&rto=1")


def told(*pages, text=TEXT, script=()):
    async def scenario():
        async with hostile(Accepts(), *script) as server:
            one = apprise(server.url)
            for made in pages:
                assert await send(one, made, text) == Receipt()
            return [json.loads(body) for body in server.service.bodies]

    return asyncio.run(scenario())


def test_a_page_goes_out_with_its_links_below():
    (told_once,) = told(page())
    assert (told_once["title"], told_once["type"]) == (TEXT.title, "failure")
    assert told_once["message"].endswith(f"Tiếp nhận: {TEXT.acknowledge_url}")
    assert told_once["message"].startswith("Từ 02:47")


def test_a_recovery_is_a_success():
    assert [one["type"] for one in told(page("recover"), page(severity="warning"), page(severity="info"))] == ["success", "warning", "info"]


def test_a_device_s_words_are_no_template_and_no_escape():
    (one,) = told(page("recover"), text=texted(f"x\n{{{{ 7*7 }}}} \\n \\x1b {NASTY}", title="x"))
    assert one["message"].startswith("{{ 7*7 }} \\n \\x1b <b>x</b> & *y*")


def test_a_clock_that_is_set_back_does_not_hold_up_the_next():
    one = pager("apprise", url="tgram://123456789:abcdefghijklmnopqrstuvwxyz-abcdefgh/12345")
    assert [service.request_rate_per_sec for service in one._service] == [0]
    assert one._service.asset.allow_templates is False


@pytest.mark.parametrize(
    "mode", [Status(500), Status(429, {"Retry-After": "9"}), Status(403), Mode.RESET, Mode.NOT_HTTP, Status(302, {"Location": "/"})]
)
def test_every_failure_is_for_now_and_says_no_secret(mode, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Busy) as busy:
        told(page(), script=[mode] * 2)
    assert "canary" not in caplog.text + str(busy.value)


def test_one_that_hangs_ends_with_the_caller_s_patience_and_few_may_hang():
    async def scenario():
        async with hostile(Accepts(), default=HANG) as server:
            one = pager("apprise", url=f"json://{server.url.removeprefix('http://')}/?rto=30")
            async with asyncio.TaskGroup() as group:
                for count in range(MOST_THREADS):
                    attempt = group.create_task(send(one, page()))
                    await server.wait_for(count + 1)
                    attempt.cancel()
            with pytest.raises(Busy, match="still hang"):
                await send(one, page())
        return one

    one = asyncio.run(scenario())
    for thread in threading.enumerate():  # the server is gone, so they end
        if thread.name == "apprise":
            assert thread.daemon
            thread.join(30)
    assert one._threads._value == MOST_THREADS


@pytest.mark.parametrize("url", ["canary", "nosuch://canary", "tgram://canary", 5, "json://a b canary"])
def test_an_address_that_is_none_is_refused_and_not_shown(url):
    with pytest.raises(PagerMisconfigured) as wrong:
        pager("apprise", url=url)
    assert "canary" not in str(wrong.value) + repr(wrong.value)


def test_without_the_extra_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(PagerMisconfigured, match=r"netwatch-daemon\[apprise\]"):
        pager("apprise", url="json://127.0.0.1")

"""SMS: by the spool of a real gammu-smsd with a telephone that is none, and by a gateway over HTTP."""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import time
import urllib.parse

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

import netwatch.pagers.sms_spool
from netwatch._delivery_lanes import open_session
from netwatch.model import PagerSettings, PageText, Secret
from netwatch.pagers import Busy, PagerMisconfigured, Receipt, Refused, build
from netwatch.pagers._numbers import digits, national
from tests import pager_cases
from tests.servers import HANG, http_receiver, http_server

NOW = 1_795_463_220.0
ASCII = [chr(code) for code in range(32, 127)]
GAMMU = """[gammu]
model = dummy
connection = none
device = {phone}
[smsd]
service = files
logfile = {spool}/log
inboxpath = {spool}/inbox/
outboxpath = {spool}/outbox/
sentsmspath = {spool}/sent/
errorsmspath = {spool}/error/
transmitformat = 7bit
commtimeout = 1
loopsleep = 1
"""


def page(kind="open", sequence=1):
    return dataclasses.replace(pager_cases.page(kind, "sms", id=1842, sequence=sequence), wall=NOW)


TEXT = PageText(title="🔴 Nà Tấu", body="…", sms="Na Tau mat ket noi tu 02:47 #1842. 0912 & {digits}")


def spool(directory, numbers=("0912 345 678",), **options):
    return build(PagerSettings(name="sms", kind="sms_spool", options={"directory": str(directory), "numbers": list(numbers), **options}))


async def sent(pager):
    async with open_session() as http:
        return await pager.send(page(), TEXT, None, http)


@pytest.fixture
def gammu(tmp_path):
    for folder in ("inbox", "outbox", "sent", "error", "phone"):
        (tmp_path / folder).mkdir()
    return tmp_path


@contextlib.asynccontextmanager
async def gammu_smsd(directory):
    rules = directory / "smsdrc"
    rules.write_text(GAMMU.format(spool=directory, phone=directory / "phone"))
    process = await asyncio.create_subprocess_exec("gammu-smsd", "-c", str(rules), stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(netwatch.pagers.sms_spool, "LOOK_SECONDS", 0.01)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(netwatch.pagers.sms_spool, "PATIENCE_SECONDS", 0.05)


def test_a_real_gammu_smsd_sends_what_lies_in_its_spool_to_every_number(gammu, monkeypatch):
    monkeypatch.setattr(netwatch.pagers.sms_spool, "PATIENCE_SECONDS", 50)

    async def scenario():
        async with gammu_smsd(gammu):
            return await sent(spool(gammu, ("0912 345 678", "+84987654321")))

    assert asyncio.run(scenario()) == Receipt()
    log = (gammu / "log").read_text()
    assert "to +84912345678" in log
    assert "to +84987654321" in log
    assert [file.read_text() for file in (gammu / "sent").iterdir()] == [TEXT.sms] * 2
    assert all(re.fullmatch(r"OUTA20261123_194700_00_\+84\d{9}_[0-9a-f]{16}\.txt", file.name) for file in (gammu / "sent").iterdir())


def test_a_page_that_the_modem_has_not_sent_yet_is_not_taken_and_not_written_twice(gammu, impatient):
    pager = spool(gammu)
    for _ in range(3):
        with pytest.raises(Busy, match="not sent it yet"):
            asyncio.run(sent(pager))
    (file,) = (gammu / "outbox").iterdir()
    restarted = spool(gammu)
    with pytest.raises(Busy):
        asyncio.run(sent(restarted))
    assert list((gammu / "outbox").iterdir()) == [file]
    file.rename(gammu / "sent" / file.name)
    assert asyncio.run(sent(restarted)) == Receipt()


def test_a_restart_after_it_was_sent_sends_nothing_again(gammu, impatient):
    with pytest.raises(Busy):
        asyncio.run(sent(spool(gammu)))
    (file,) = (gammu / "outbox").iterdir()
    file.rename(gammu / "sent" / file.name)
    assert asyncio.run(sent(spool(gammu))) == Receipt()
    assert not list((gammu / "outbox").iterdir())


def test_what_the_modem_could_not_send_to_anybody_is_refused(gammu, impatient):
    pager = spool(gammu, ("0912345678", "0987654321"))
    with pytest.raises(Busy):
        asyncio.run(sent(pager))
    first, second = (gammu / "outbox").iterdir()
    first.rename(gammu / "error" / first.name)
    with pytest.raises(Busy):  # the other may still go out
        asyncio.run(sent(pager))
    second.rename(gammu / "error" / second.name)
    with pytest.raises(Refused):
        asyncio.run(sent(pager))


def test_one_number_that_failed_does_not_make_the_page_refused(gammu, impatient):
    pager = spool(gammu, ("0912345678", "0987654321"))
    with pytest.raises(Busy):
        asyncio.run(sent(pager))
    first, second = (gammu / "outbox").iterdir()
    first.rename(gammu / "error" / first.name)
    second.rename(gammu / "sent" / second.name)
    assert asyncio.run(sent(pager)) == Receipt()


def test_a_spool_that_does_not_drain_takes_nothing_more(gammu, impatient):
    stuck = gammu / "outbox" / "OUT0912.txt"
    stuck.write_text("old")
    os.utime(stuck, (time.time() - 600, time.time() - 600))
    with pytest.raises(Busy, match="does not drain: 1 files, the oldest for 10 min"):
        asyncio.run(sent(spool(gammu)))
    assert list((gammu / "outbox").iterdir()) == [stuck]


def test_a_spool_that_is_not_there_is_busy_not_refused(tmp_path, impatient):
    with pytest.raises(Busy, match="No such file"):
        asyncio.run(sent(spool(tmp_path / "nowhere")))


def test_smstools_finds_the_headers_it_wants(tmp_path, impatient):
    for folder in ("outgoing", "checked", "sent", "failed"):
        (tmp_path / folder).mkdir()
    pager = spool(tmp_path, format="smstools")
    with pytest.raises(Busy):
        asyncio.run(sent(pager))
    (file,) = (tmp_path / "outgoing").iterdir()
    assert file.read_text() == f"To: 84912345678\nPriority: HIGH\n\n{TEXT.sms}"
    file.rename(tmp_path / "checked" / file.name)
    with pytest.raises(Busy):
        asyncio.run(sent(spool(tmp_path, format="smstools")))
    assert not list((tmp_path / "outgoing").iterdir())
    (tmp_path / "checked" / file.name).rename(tmp_path / "failed" / file.name)
    with pytest.raises(Refused):
        asyncio.run(sent(pager))


def test_a_spool_that_keeps_nothing_of_what_was_sent_has_sent_what_is_gone(gammu, impatient):
    pager = spool(gammu)
    with pytest.raises(Busy):
        asyncio.run(sent(pager))
    (gammu / "sent").rmdir()
    next((gammu / "outbox").iterdir()).unlink()
    assert asyncio.run(sent(pager)) == Receipt()


@pytest.mark.parametrize("number", ["912345678", "091234567", "+840912345678", "+84 abc", "", 84912345678, "0912345678x", "+84123"])
def test_a_number_nobody_can_ring_is_refused_at_load(number):
    with pytest.raises(PagerMisconfigured):
        spool("/tmp", (number,))


@given(st.text("0123456789+ .()-", max_size=20))
def test_an_accepted_number_is_international_and_keeps_its_digits(written):
    try:
        (number,) = spool("/tmp", (written,)).numbers
    except PagerMisconfigured:
        return
    assert re.fullmatch(r"\+[1-9]\d{6,14}", number)
    bare = re.sub(r"[ .()-]", "", written)
    assert bare in {number, national(number)}
    assert digits(number).isdigit()


# --- the gateway


def gateway(url, **options):
    options = {"numbers": ["0912345678"], "body": "to={digits}&text={text}", **options}
    return build(PagerSettings(name="sms", kind="sms_http", options={"url": url, **options}))


def test_a_form_is_posted_with_everything_escaped():
    async def scenario():
        async with http_receiver((200, {})) as receiver:
            await sent(gateway(receiver.url, headers={"X-Key": "canary"}))
        (request,) = receiver.received
        assert urllib.parse.parse_qs(request.body.decode()) == {"to": ["84912345678"], "text": [TEXT.sms]}
        assert request.headers["x-key"] == "canary"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"

    asyncio.run(scenario())


@given(st.text(ASCII, min_size=1, max_size=160), st.sampled_from(["form", "json", "text"]))
def test_a_text_comes_out_of_the_template_as_it_went_in(text, shape):
    templates = {"form": "a=1&t={text}&n={national}", "json": '{"t": "{text}", "n": "{number}"}', "text": "{number} {text}"}
    received = []

    async def answer(request):
        received.append(await request.read())
        return web.Response()

    async def scenario():
        async with http_server(answer) as url, open_session() as http:
            pager = gateway(url, body=templates[shape], body_type=shape)
            await pager.send(page(), dataclasses.replace(TEXT, sms=text), None, http)

    asyncio.run(scenario())
    body = received[0].decode()
    if shape == "form":
        assert dict(urllib.parse.parse_qsl(body, keep_blank_values=True))["t"] == text
    elif shape == "json":
        assert json.loads(body) == {"t": text, "n": "+84912345678"}
    else:
        assert body == f"+84912345678 {text}"


def test_a_get_carries_all_in_the_address():
    got = []

    async def answer(request):
        got.append((request.method, dict(request.query)))
        return web.Response(text="OK: 1")

    async def scenario():
        async with http_server(answer) as url:
            await sent(gateway(url + "/send?to={national}&m={text}&key=canary", method="GET", body="", success_body="^OK"))

    asyncio.run(scenario())
    assert got == [("GET", {"to": "0912345678", "m": TEXT.sms, "key": "canary"})]


@pytest.mark.parametrize(
    ("status", "raised"),
    [(400, Refused), (401, Refused), (402, Refused), (404, Refused), (302, Busy), (408, Busy), (429, Busy), (500, Busy), (503, Busy)],
)
def test_a_status_is_for_good_or_for_now(status, raised):
    async def scenario():
        async with http_receiver(default=(status, {"Retry-After": "7"})) as receiver:
            await sent(gateway(receiver.url + "/canary"))

    with pytest.raises(raised) as trouble:
        asyncio.run(scenario())
    assert "canary" not in str(trouble.value)
    if status in {429, 503}:
        assert trouble.value.retry_after_seconds == 7


def test_an_answer_that_does_not_say_success_is_refused_and_never_sent_again():
    async def scenario():
        async with http_receiver(default=(200, {})) as receiver:
            with pytest.raises(Refused, match="success_body"):
                await sent(gateway(receiver.url, success_body="(?i)accepted"))
            return len(receiver.received)

    assert asyncio.run(scenario()) == 1


def test_a_huge_answer_is_read_no_further_than_needed():
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                await response.write(b"accepted" * 8_000)
        return response

    async def scenario():
        async with http_server(answer) as url:
            return await sent(gateway(url, success_body="accepted"))

    assert asyncio.run(scenario()) == Receipt()


def test_a_number_that_has_it_is_not_asked_again():
    async def scenario():
        async with http_receiver((200, {}), (500, {}), (200, {})) as receiver, open_session() as http:
            pager = gateway(receiver.url, numbers=["0912345678", "0987654321"])
            with pytest.raises(Busy):
                await pager.send(page(), TEXT, None, http)
            await pager.send(page(), TEXT, None, http)
            return [request.body.split(b"&")[0] for request in receiver.received]

    assert asyncio.run(scenario()) == [b"to=84912345678", b"to=84987654321", b"to=84987654321"]


def test_it_is_refused_only_when_every_number_is():
    async def scenario(*script):
        async with http_receiver(*script) as receiver:
            await sent(gateway(receiver.url, numbers=["0912345678", "0987654321"]))

    asyncio.run(scenario((400, {}), (200, {})))
    with pytest.raises(Refused, match="HTTP 400 for every number"):
        asyncio.run(scenario((400, {}), (400, {})))


@pytest.mark.parametrize(
    "options",
    [
        {"body": "to={number}"},
        {"body": "text={text}"},
        {"body": '{"to": {number} "{text}"', "body_type": "json"},
        {"success_body": "("},
        {"headers": {"X-A": "a\nb"}},
        {"headers": {"X A": "a"}},
        {"method": "PUT"},
        {"numbers": []},
        {"body": "to={number}&text={text}", "method": "GET"},
    ],
)
def test_a_gateway_that_cannot_work_is_refused_at_load(options):
    with pytest.raises(PagerMisconfigured):
        gateway("http://127.0.0.1:9", **options)


def test_no_secret_of_it_shows():
    pager = gateway("http://127.0.0.1:9/canary", headers={"Authorization": Secret("canary")}, body=Secret("canary={digits}&{text}"))
    assert "canary" not in repr(pager)


def test_a_gateway_that_hangs_is_left_to_the_deadline_of_the_caller():
    async def scenario():
        async with http_receiver(default=(HANG, {})) as receiver:
            async with asyncio.timeout(0.2):
                await sent(gateway(receiver.url))

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import logging
import time

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.model import Cause, Incident, Page, PagerSettings, PageText, Secret, Subject
from netwatch.pagers import Busy, PagerMisconfigured, Refused, build, names
from netwatch.pagers.webhook import LARGEST_BYTES, document, sign
from tests.servers import http_receiver

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 24).decode()
TEXT = PageText(title="🔴 Nà Tấu", body="🔴 Nà Tấu\n…", sms="Na Tau", url="https://nw/sites/na-tau")


def page(**changes):
    incident = Incident(
        id=7,
        key="netwatch/na-tau",
        cause=Cause("site", "na-tau"),
        sites=("na-tau",),
        severity="critical",
        opened=1_795_463_220.0,
        updated=1_795_463_220.0,
        sequence=1,
        members=(Subject("na-tau/line1/icmp"), Subject("na-tau/printer/snmp", "toner", "black")),
        facts={"site_name": "Nà Tấu"},
    )
    return Page(incident=dataclasses.replace(incident, **changes), kind="open", wall=1_795_463_229.0, pager="noc")


def webhook(url, **options):
    return build(PagerSettings(name="noc", kind="webhook", options={"url": url, "secret": SECRET, **options}))


async def send(url, made=None, **options):
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        return await webhook(url, **options).send(made or page(), TEXT, None, http)


def verified(received, key):
    """Checks a request as a receiver must: over the very bytes, by the specification."""
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in received.headers["webhook-signature"].split(" ")


def test_the_specification_s_own_example_is_signed_as_it_says():
    # Standard Webhooks 1.0.0, test vector of the reference libraries.
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_can_verify_what_arrives():
    async def scenario():
        async with http_receiver() as receiver:
            await send(receiver.url + "/hook?team=noc")
            (received,) = receiver.received
        assert received.path == "/hook"
        assert received.headers["content-type"] == "application/json"
        assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60
        assert verified(received, KEY)
        assert not verified(received, b"x" * 32)
        told = json.loads(received.body)
        assert told["schema"] == "netwatch/v1/page"
        assert told["id"] == received.headers["webhook-id"] == page().id
        assert (told["kind"], told["time"], told["pager"]) == ("open", "2026-11-23T19:47:09+00:00", "noc")
        assert told["incident"] == {
            "id": 7,
            "key": "netwatch/na-tau",
            "cause": {"type": "site", "name": "na-tau"},
            "sites": ["na-tau"],
            "severity": "critical",
            "audience": "page",
            "opened": "2026-11-23T19:47:00+00:00",
            "closed": None,
            "close_reason": "",
            "sequence": 1,
            "hidden": 0,
            "members": ["na-tau/line1/icmp", "na-tau/printer/snmp/toner/black"],
            "facts": {"site_name": "Nà Tấu"},
        }
        assert told["text"] == {"title": TEXT.title, "body": TEXT.body, "sms": TEXT.sms, "url": TEXT.url, "acknowledge_url": ""}

    asyncio.run(scenario())


def test_while_keys_are_rotated_either_key_verifies():
    async def scenario():
        async with http_receiver() as receiver:
            await send(receiver.url, secret=[SECRET, Secret(OLD_SECRET)])
            (received,) = receiver.received
        assert verified(received, KEY)
        assert verified(received, b"o" * 24)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_acceptance_whatever_the_body(status):
    async def scenario():
        async with http_receiver((status, {})) as receiver:
            await send(receiver.url)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
def test_a_4xx_refuses_for_good(status):
    async def scenario():
        async with http_receiver((status, {"Retry-After": "5"})) as receiver:
            with pytest.raises(Refused, match=str(status)):
                await send(receiver.url)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_overload_and_trouble_of_the_receiver_are_for_now(status):
    async def scenario():
        async with http_receiver((status, {"Retry-After": "120"}), (status, {})) as receiver:
            with pytest.raises(Busy, match=str(status)) as first:
                await send(receiver.url)
            with pytest.raises(Busy) as second:
                await send(receiver.url)
        assert (first.value.retry_after_seconds, second.value.retry_after_seconds) == (120, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status):
    async def scenario():
        async with http_receiver() as elsewhere, http_receiver((status, {"Location": elsewhere.url})) as receiver:
            with pytest.raises(Busy, match="redirect"):
                await send(receiver.url)
            assert not elsewhere.received

    asyncio.run(scenario())


def test_the_body_of_a_retry_is_the_same_bytes():
    assert document(page(), TEXT) == document(page(), TEXT)


@example(facts={"detail": "\ud800"}, body="\udfff", sites=())
@example(facts={}, body="x" * 30_000, sites=())
@example(facts={}, body="", sites=("x" * 63,) * 1_000)
@example(facts={str(n): "x" * 256 for n in range(100)}, body="", sites=())
@given(
    facts=st.dictionaries(st.text(max_size=30), st.text(max_size=2_000), max_size=60),
    body=st.text(max_size=300).map(lambda text: text * 100),
    sites=st.lists(st.text(max_size=63), max_size=400).map(tuple),
)
def test_no_body_is_20_kb_or_more_and_every_body_is_json(facts, body, sites):
    written = document(page(facts=facts, sites=sites), dataclasses.replace(TEXT, body=body))
    assert len(written) < LARGEST_BYTES
    assert json.loads(written)["id"] == page().id


def test_an_id_that_is_no_header_is_escaped_the_same_way_each_time():
    async def scenario():
        async with http_receiver() as receiver:
            await send(receiver.url, page(key="netwatch/nà tấu\r\nx: y"))
            (received,) = receiver.received
        assert received.headers["webhook-id"] == "netwatch/n%C3%A0%20t%E1%BA%A5u%0D%0Ax%3A%20y#7.1@noc"
        assert verified(received, KEY)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"url": "ftp://h/canary"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://h:99999/canary"}, "url"),
        ({"url": "http://h/a b canary"}, "url"),
        ({"url": 7}, "url"),
        ({"secret": "canary"}, "secret"),
        ({"secret": "whsec_Y2FuYXJ5"}, "secret"),
        ({"secret": []}, "secret"),
        ({"secret": [SECRET, "whsec_canary!"]}, "secret"),
        ({"token": "canary"}, "token"),
        ({"fallback": 5}, "fallback"),
    ],
)
def test_a_wrong_option_is_named_and_its_value_never_shown(options, key):
    with pytest.raises(PagerMisconfigured) as wrong:
        webhook(**{"url": "https://h/x", **options})
    assert wrong.value.key == key
    shown = repr(wrong.value) + str(wrong.value) + repr(wrong.value.__cause__)
    assert "canary" not in shown


def test_an_unknown_kind_of_pager_is_told_what_there_is():
    assert {"alertmanager", "webhook"} <= set(names())
    with pytest.raises(PagerMisconfigured, match="alertmanager"):
        build(PagerSettings(name="x", kind="pigeon"))


def test_secrets_show_up_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    shown = []

    async def scenario():
        for url in ("http://user:canary@127.0.0.1:9/canary", "http://canary.invalid/canary?canary"):
            with pytest.raises((aiohttp.ClientError, OSError)):
                await send(url)
        async with http_receiver((403, {})) as receiver:
            with pytest.raises(Refused) as refused:
                await send(receiver.url + "/canary")
        shown.append(repr(refused.value))

    asyncio.run(scenario())
    shown += [repr(webhook("https://h/canary")), caplog.text]
    assert "canary" not in "".join(shown)
    assert SECRET not in "".join(shown)

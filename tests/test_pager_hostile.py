"""Every pager over HTTP against services that misbehave."""

import asyncio
import base64
import json
import logging

import aiohttp
import pytest

from netwatch._delivery_lanes import open_session
from netwatch.model import PagerSettings
from netwatch.pagers import Busy, Receipt, Refused, build
from tests import pager_cases as cases
from tests import pager_services as services
from tests.pager_servers import BIG_BYTES, Mode, Status, hostile

SECRET = "whsec_" + base64.b64encode(b"canary" * 6).decode()


def webhook(url):
    return cases.pager("webhook", url=url + "/canary", secret=SECRET)


KINDS = {
    "webhook": (services.Accepts, webhook),
    "pagerduty": (services.PagerDuty, cases.pagerduty),
    "telegram": (services.Telegram, cases.telegram),
    "zalo": (services.Zalo, cases.zalo),
    "ntfy": (services.Ntfy, cases.ntfy),
    "slack-hook": (services.Slack, cases.slack_hook),
    "slack-bot": (services.Slack, cases.slack_bot),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def outcome(kind, *script, seconds=10.0, kind_of_page="open"):
    """What one attempt comes to, and the server that met it."""
    service, made = KINDS[kind]

    async def scenario():
        async with hostile(service(), *script) as server, open_session() as http:
            try:
                async with asyncio.timeout(seconds):
                    return await made(server.url).send(cases.page(kind_of_page), cases.TEXT, None, http), server
            except (Busy, Refused, aiohttp.ClientError, OSError) as trouble:
                return trouble, server

    return asyncio.run(scenario())


def took(server):
    """How many pages the service has accepted."""
    lists = [value for value in vars(server.service).values() if isinstance(value, list)]
    return len(lists[0])


@every_kind
@pytest.mark.parametrize("kind_of_page", ["open", "update", "recover"])
def test_a_service_that_behaves_takes_every_kind_of_page(kind, kind_of_page):
    receipt, server = outcome(kind, kind_of_page=kind_of_page)
    assert not isinstance(receipt, Exception), receipt
    assert (took(server), server.asked) == (1, 1)


@every_kind
@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 407, 408, 420, 425, 429])
def test_trouble_of_the_service_is_for_now(kind, status):
    trouble, server = outcome(kind, Status(status, {}, "no"))
    assert isinstance(trouble, Busy), trouble
    assert server.asked == 1


@every_kind
@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_for_good_and_says_the_status(kind, status):
    trouble, _server = outcome(kind, *[Status(status, {"Retry-After": "9"}, "no")] * 2)
    assert isinstance(trouble, Refused), trouble
    assert str(status) in str(trouble)


@every_kind
def test_400_for_good_is_a_refusal_in_the_end(kind):
    trouble, server = outcome(kind, *[Status(400, {}, "no")] * 3)
    assert isinstance(trouble, Refused), trouble
    assert server.asked <= 2


@every_kind
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("2.5", 2.5),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, 1e9),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("Tue, 99 Nov 2026 03:02:00 GMT", None),
    ],
)
def test_retry_after_is_heeded_in_every_form(kind, header, seconds):
    trouble, _server = outcome(kind, Status(429, {"Retry-After": header}))
    assert isinstance(trouble, Busy)
    assert trouble.retry_after_seconds == (60.0 if (kind, seconds) == ("pagerduty", None) else seconds)


@every_kind
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_for_now(kind, status):
    trouble, server = outcome(kind, Status(status, {"Location": "/elsewhere"}))
    assert isinstance(trouble, Busy)
    assert "redirect" in str(trouble)
    assert server.asked == 1


@every_kind
def test_a_redirect_is_not_followed_even_in_a_session_that_would(kind):
    service, made = KINDS[kind]

    async def scenario():
        async with hostile(service(), Status(307, {"Location": "/elsewhere"})) as server:
            with pytest.raises(Busy, match="redirect"):
                await cases.send(made(server.url), cases.page())
            return server.asked

    assert asyncio.run(scenario()) == 1


@every_kind
@pytest.mark.parametrize("mode", [Mode.HANG, Mode.DRIP])
def test_a_service_that_hangs_ends_with_the_caller_s_deadline(kind, mode):
    trouble, _server = outcome(kind, mode, seconds=0.3)
    assert isinstance(trouble, TimeoutError)


@every_kind
@pytest.mark.parametrize("mode", [Mode.RESET, Mode.NOT_HTTP, Mode.LOST])
def test_a_broken_connection_is_for_now(kind, mode):
    trouble, server = outcome(kind, mode)
    assert isinstance(trouble, Busy | aiohttp.ClientError | OSError)
    assert took(server) == (mode is Mode.LOST)


@every_kind
def test_another_s_page_in_place_of_the_answer_is_no_acceptance(kind):
    trouble, _server = outcome(kind, Mode.GARBAGE)
    assert isinstance(trouble, Busy) or kind == "webhook", "of a webhook any 2xx is an acceptance"


@every_kind
def test_200_that_refuses_in_its_body_is_no_acceptance(kind):
    trouble, _server = outcome(kind, Mode.OK_FALSE, Mode.OK_FALSE)
    assert isinstance(trouble, Busy | Refused) or kind == "webhook"


def test_of_a_webhook_the_status_alone_is_the_answer():
    receipt, _server = outcome("webhook", Mode.HALF)
    assert receipt == Receipt()


@every_kind
def test_of_ten_megabytes_only_the_beginning_is_read(kind):
    trouble, server = outcome(kind, Mode.BIG)
    assert isinstance(trouble, Busy) or kind == "webhook"
    assert server.sent_bytes < BIG_BYTES / 2, "what the kernel's buffers hold, not more"


@every_kind
def test_no_secret_is_in_what_is_told_of_a_failure(kind, caplog):
    caplog.set_level(logging.DEBUG)
    echo = " ".join((*cases.CANARIES, SECRET, "/canary"))
    told = [outcome(kind, mode, mode)[0] for mode in (Mode.NOT_HTTP, Mode.RESET, Mode.GARBAGE, Mode.OK_FALSE)]
    for status in (400, 403, 429, 500, 302):
        body = json.dumps({"description": echo, "error": echo, "message": echo, "errors": [echo]})
        told += [outcome(kind, *[Status(status, {"Location": "/x"}, body)] * 3)[0], outcome(kind, *[Status(status, {}, echo)] * 3)[0]]
    told += [trouble.__context__ for trouble in told if isinstance(trouble, Exception)]
    shown = "".join(map(repr, told)) + "".join(map(str, told)) + caplog.text
    _service, made = KINDS[kind]
    shown += repr(made("http://127.0.0.1:1")) + repr(vars(made("http://127.0.0.1:1")))
    for secret in secrets_of(kind):
        assert secret not in shown


def secrets_of(kind):
    return {
        "webhook": (SECRET, "/canary"),
        "pagerduty": (services.PAGERDUTY_KEY,),
        "telegram": (services.TELEGRAM_TOKEN,),
        "zalo": (services.ZALO_TOKEN,),
        "ntfy": (services.NTFY_TOPIC,),
        "slack-hook": (services.SLACK_PATH,),
        "slack-bot": (services.SLACK_TOKEN,),
    }[kind]


@every_kind
def test_a_device_s_words_pass_and_act_nowhere(kind):
    service, made = KINDS[kind]
    text = cases.texted(f"🔴 Nà Tấu\n{cases.NASTY}\n=cmd()", title=f"🔴 {cases.NASTY}")

    async def scenario():
        async with hostile(service()) as server:
            await cases.send(made(server.url), cases.page(facts={"detail": cases.NASTY}), text)
            return server

    server = asyncio.run(scenario())
    assert (took(server), server.asked) == (1, 1), "accepted as it is, not only in its bare form"


def test_every_option_has_the_real_service_as_default():
    for kind, options in (
        ("telegram", {"token": services.TELEGRAM_TOKEN, "chat_id": 1}),
        ("zalo", {"token": services.ZALO_TOKEN, "chat_id": "1"}),
        ("pagerduty", {"routing_key": services.PAGERDUTY_KEY}),
        ("slack", {"token": services.SLACK_TOKEN, "channel": "C1"}),
    ):
        built = build(PagerSettings(name="x", kind=kind, options=options))
        assert built.api_url.reveal().startswith("https://")
    assert cases.pager("ntfy", topic="t").server.reveal() == "https://ntfy.sh"

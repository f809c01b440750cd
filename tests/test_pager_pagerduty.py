import asyncio
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.model import Cause, Secret
from netwatch.pagers import PagerMisconfigured, Receipt, Refused
from netwatch.pagers._http import encoded
from netwatch.pagers.pagerduty import event, fingerprint
from tests.pager_cases import OPENED, TEXT, acknowledged, page, pagerduty, send, texted
from tests.pager_servers import Status, hostile
from tests.pager_services import PAGERDUTY_KEY, PagerDuty

OLD_KEY = "ffffffffffffffffffffffffffffffff"
ALERT = (PAGERDUTY_KEY, "netwatch/na-tau")


def told(*steps, keys=(PAGERDUTY_KEY,), script=()):
    """Sends (options, page) one after another, each with the receipt before it."""

    async def scenario():
        receipt = None
        async with hostile(PagerDuty(keys=set(keys)), *script) as server:
            for options, made in steps:
                receipt = await send(pagerduty(server.url, **options), made, thread=receipt)
            return server.service, receipt

    return asyncio.run(scenario())


def test_an_incident_opens_grows_and_resolves_as_one_alert():
    service, receipt = told(({}, page()), ({}, page("update")))
    assert service.alerts == {ALERT: "triggered"}
    assert PAGERDUTY_KEY not in receipt.thread
    service, _receipt = told(({}, page()), ({}, page("update")), ({}, page("recover")))
    assert [one["event_action"] for one in service.events] == ["trigger", "trigger", "resolve"]
    assert service.alerts == {}


def test_a_trigger_says_where_what_since_when_and_how_to_acknowledge():
    service, _receipt = told(({}, page()))
    (sent,) = service.events
    assert sent["payload"]["summary"] == TEXT.title
    assert (sent["payload"]["source"], sent["payload"]["severity"], sent["payload"]["class"]) == ("na-tau", "critical", "site")
    assert sent["payload"]["timestamp"] == "2026-11-23T19:47:00.000+00:00"
    assert sent["payload"]["custom_details"] == {"text": TEXT.body, "site_name": "Nà Tấu"}
    assert sent["links"] == [{"href": TEXT.acknowledge_url, "text": "Tiếp nhận"}, {"href": TEXT.url, "text": "Xem"}]
    assert sent["client_url"] == TEXT.url


def test_what_is_acknowledged_here_is_acknowledged_there():
    service, _receipt = told(({}, page()), ({}, acknowledged()))
    assert service.alerts == {ALERT: "acknowledged"}


def test_an_acknowledged_incident_it_was_never_told_of_is_opened():
    service, _receipt = told(({}, acknowledged()))
    assert service.alerts == {ALERT: "triggered"}, "an acknowledge without an alert would be dropped with 202"


def test_it_is_resolved_through_the_key_that_opened_it():
    rotated = {"former_routing_keys": [OLD_KEY]}
    service, receipt = told(({"routing_key": OLD_KEY}, page()), (rotated, page("update")), keys=(OLD_KEY, PAGERDUTY_KEY))
    assert service.alerts == {(OLD_KEY, "netwatch/na-tau"): "triggered"}
    assert receipt.thread.endswith(fingerprint(Secret(OLD_KEY)))
    service, _receipt = told(({"routing_key": OLD_KEY}, page()), (rotated, page("recover")), keys=(OLD_KEY, PAGERDUTY_KEY))
    assert service.alerts == {}


def test_without_the_key_that_opened_it_a_recovery_is_refused_rather_than_dropped():
    with pytest.raises(Refused, match="no longer known"):
        told(({"routing_key": OLD_KEY}, page()), ({}, page("recover")), keys=(OLD_KEY, PAGERDUTY_KEY))


def test_an_update_whose_former_key_is_dead_opens_anew():
    async def scenario():
        async with hostile(PagerDuty()) as server:
            former = Receipt(f"pagerduty:{fingerprint(Secret(OLD_KEY))}")
            receipt = await send(pagerduty(server.url, former_routing_keys=[OLD_KEY]), page("update"), thread=former)
            assert server.service.alerts == {ALERT: "triggered"}
            await send(pagerduty(server.url, former_routing_keys=[OLD_KEY]), page("recover"), thread=receipt)
            assert server.service.alerts == {}

    asyncio.run(scenario())


def test_a_recovery_whose_former_key_is_dead_is_not_sent_through_another_which_would_drop_it():
    async def scenario():
        async with hostile(PagerDuty()) as server:
            former = Receipt(f"pagerduty:{fingerprint(Secret(OLD_KEY))}")
            with pytest.raises(Refused, match="Invalid routing key"):
                await send(pagerduty(server.url, former_routing_keys=[OLD_KEY]), page("recover"), thread=former)
            return server.service.events

    assert asyncio.run(scenario()) == []


def test_a_receipt_of_another_kind_of_pager_is_no_hindrance():
    async def scenario():
        async with hostile(PagerDuty()) as server:
            await send(pagerduty(server.url), page("recover"), thread=Receipt('["telegram", "1", "1", "5"]'))
            await send(pagerduty(server.url), page("update"), thread=Receipt(""))
            return [one["event_action"] for one in server.service.events]

    assert asyncio.run(scenario()) == ["resolve", "trigger"]


def test_what_is_refused_with_its_trimmings_is_sent_without():
    service, _receipt = told(({}, page()), script=[Status(400, {}, '{"errors": ["links"]}')])
    (sent,) = service.events
    assert set(sent) == {"routing_key", "event_action", "dedup_key", "payload"}
    assert set(sent["payload"]) == {"summary", "source", "severity"}


def test_why_it_refuses_is_told():
    with pytest.raises(Refused, match="HTTP 400: Invalid routing key"):
        told(({"routing_key": OLD_KEY}, page()))


@pytest.mark.parametrize(("status", "taken"), [(202, True), (200, False)])
def test_202_is_acceptance_whatever_the_body_and_200_is_not(status, taken):
    async def scenario():
        async with hostile(PagerDuty(), Status(status, {}, "\x00{")) as server:
            try:
                await send(pagerduty(server.url), page())
            except Exception:  # noqa: BLE001  # whichever
                return False
            return True

    assert asyncio.run(scenario()) is taken


def test_a_key_that_is_too_long_stays_one_key_of_255():
    long = "netwatch/" + "x" * 300
    keys = {event(page(kind, key=long + end), TEXT, "vi", known=True)["dedup_key"] for kind in ("open", "recover") for end in ("a", "b")}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {255}


@given(
    title=st.text(max_size=3_000),
    body=st.text(max_size=300).map(lambda text: text * 300),
    facts=st.dictionaries(st.text(max_size=30), st.text(max_size=600), max_size=40),
    sites=st.lists(st.text(max_size=40), max_size=3).map(tuple),
    key=st.text(max_size=400),
    severity=st.sampled_from(["critical", "warning", "info"]),
)
def test_every_event_keeps_the_contract(title, body, facts, sites, key, severity):
    made = page(facts=facts, sites=sites, key=f"netwatch/{key}", severity=severity, cause=Cause("site", ""))
    written = {"routing_key": PAGERDUTY_KEY, **event(made, texted(body or "x", title=title), "vi", known=False)}
    body_sent = encoded(written)
    assert len(body_sent) < 512_000
    assert list(PagerDuty().faults(json.loads(body_sent))) == []


def test_a_thousand_long_facts_do_not_burst_the_event():
    made = page(facts={f"{n}": "đ" * 256 for n in range(2_000)})
    written = event(made, TEXT, "vi", known=False)
    assert len(encoded(written)) < 512_000
    assert "custom_details" not in written["payload"]


def test_it_says_since_when_and_not_when_it_was_written():
    later = dataclasses.replace(page(), wall=OPENED + 900)
    assert event(later, TEXT, "vi", known=False)["payload"]["timestamp"].startswith("2026-11-23T19:47:00")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"routing_key": "canary"}, "routing_key"),
        ({"routing_key": 7}, "routing_key"),
        ({"routing_key": PAGERDUTY_KEY[:-1] + "\u0661"}, "routing_key"),
        ({"former_routing_keys": [OLD_KEY, "canary"]}, "former_routing_keys.1"),
        ({"api_url": "ftp://canary"}, "api_url"),
    ],
)
def test_a_wrong_option_is_named_and_its_value_never_shown(options, key):
    with pytest.raises(PagerMisconfigured) as wrong:
        pagerduty("http://h", **options)
    assert wrong.value.key == key
    assert "canary" not in repr(wrong.value) + str(wrong.value)

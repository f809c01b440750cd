import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netwatch.model import Secret
from netwatch.pagers import PagerMisconfigured, Receipt, Refused
from netwatch.pagers.ntfy import message
from tests.pager_cases import TEXT, ntfy, page, send, texted
from tests.pager_servers import Status, hostile
from tests.pager_services import NTFY_TOPIC, Ntfy


def told(*pages, service=None, script=(), **options):
    async def scenario():
        async with hostile(service or Ntfy(), *script) as server:
            for made in pages:
                assert await send(ntfy(server.url, **options), made) == Receipt()
            return server.service

    return asyncio.run(scenario())


def test_a_page_is_a_push_that_wakes_and_has_two_buttons():
    (push,) = told(page()).published
    assert (push["topic"], push["title"], push["priority"]) == (NTFY_TOPIC, TEXT.title, 5)
    assert push["message"] == TEXT.body.removeprefix(TEXT.title).strip(), "the title is shown by itself"
    assert push["click"] == TEXT.url
    assert push["actions"] == [
        {"action": "view", "label": "Tiếp nhận", "url": TEXT.acknowledge_url},
        {"action": "view", "label": "Xem", "url": TEXT.url},
    ]
    assert push["attachment"] is False


def test_one_incident_is_one_push_on_the_phone():
    service = told(page(), page("update"), page("recover"), page(id=8), page(key="netwatch/pu-nhi"))
    assert len(service.published) == 5
    first, *others = service.shown.values()
    assert (first["priority"], first["tags"], len(first["actions"])) == (2, ["white_check_mark"], 1)
    assert len(others) == 2


@pytest.mark.parametrize(("severity", "priority"), [("critical", 5), ("warning", 4), ("info", 3)])
def test_how_loud_a_push_is_follows_from_how_bad_it_is(severity, priority):
    assert message(page(severity=severity), TEXT, "vi")["priority"] == priority
    assert message(page("update", severity=severity), TEXT, "vi")["priority"] == 3
    assert message(page("recover", severity=severity), TEXT, "vi")["priority"] == 2


def test_a_protected_topic_takes_a_token():
    assert len(told(page(), service=Ntfy(token="tk_canary"), token="tk_canary").published) == 1
    with pytest.raises(Refused, match="HTTP 403: forbidden"):
        told(page(), service=Ntfy(token="tk_canary"))
    with pytest.raises(Refused, match="HTTP 403: no … here"):
        told(page(), script=[Status(403, {}, '{"error": "no tk_canary here"}')], token="tk_canary")


def test_what_is_refused_with_its_trimmings_is_sent_without():
    (push,) = told(page(), script=[Status(400, {}, '{"error": "actions invalid"}')]).published
    assert set(push) == {"topic", "title", "message", "priority", "attachment"}


@example(title="🔴" * 300, body="🔴" * 3_000)
@given(
    title=st.text(st.characters(codec=None), max_size=300),
    body=st.text(st.characters(codec=None), min_size=1, max_size=300).map(lambda text: text * 20),
)
def test_every_push_stays_a_message_and_never_becomes_an_attachment(title, body):
    written = message(page(), texted(body, title=title), "vi")
    assert 1 <= len(written["message"].encode()) <= 4_096
    assert 1 <= len(written["title"].encode()) <= 250
    assert "\n" not in written["title"] or "\n" in title


@pytest.mark.parametrize(
    ("options", "key"), [({"topic": "canary/x"}, "topic"), ({"topic": "canary" * 20}, "topic"), ({"token": "canary x"}, "token")]
)
def test_a_wrong_option_is_named_and_its_value_never_shown(options, key):
    with pytest.raises(PagerMisconfigured) as wrong:
        ntfy("http://h", **options)
    assert wrong.value.key == key
    assert "canary" not in repr(wrong.value) + str(wrong.value)


def test_a_topic_is_a_secret():
    assert ntfy("http://h").topic == Secret(NTFY_TOPIC)

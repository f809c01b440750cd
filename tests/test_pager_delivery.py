"""Every pager over HTTP behind delivery, through everything that can go wrong on the way."""

import asyncio
import json
import urllib.parse

import pytest

from netwatch.delivery import Delivery, Timing
from netwatch.history import OutboxRow
from netwatch.model import Cause, Incident, Page, PagerSettings, Settings
from tests import pager_services as services
from tests.pager_cases import OPENED
from tests.pager_servers import HANG, LOST, Mode, Status, hostile

SITES = ("na-tau", "pu-nhi", "sin-thau")
BROKEN = (
    Status(500),
    Status(429, {"Retry-After": "120"}),
    Status(429, {"Retry-After": "-1"}),
    Status(302, {"Location": "/"}),
    LOST,
    Mode.RESET,
    HANG,
    Mode.NOT_HTTP,
)
NOT_ITS_OWN = (Mode.GARBAGE, Mode.BIG, Mode.HALF)  # of a webhook any 2xx is an acceptance
QUICK = Timing(retry_seconds=(0.01,), longest_wait_seconds=0.01, deadline_seconds=0.4, jitter=lambda: 1.0)

KINDS = {
    "webhook": (
        services.Accepts,
        {"secret": "whsec_" + "A" * 40},
        "url",
        lambda service: [json.loads(body)["text"]["title"] for body in service.bodies],
    ),
    "telegram": (
        services.Telegram,
        {"token": services.TELEGRAM_TOKEN, "chat_id": -1001},
        "api_url",
        lambda service: [one["text"] for one in service.messages],
    ),
    "zalo": (services.Zalo, {"token": services.ZALO_TOKEN, "chat_id": "abc.xyz-1"}, "api_url", lambda service: service.texts),
    "ntfy": (services.Ntfy, {"topic": services.NTFY_TOPIC}, "server", lambda service: [one["title"] for one in service.published]),
    "slack": (
        services.Slack,
        {"token": services.SLACK_TOKEN, "channel": "#noc"},
        "api_url",
        lambda service: [one["text"] for one in service.messages],
    ),
    "pagerduty": (
        services.PagerDuty,
        {"routing_key": services.PAGERDUTY_KEY},
        "api_url",
        lambda service: [
            f"{one['dedup_key'].removeprefix('netwatch/')} {'đã kết nối lại' if one['event_action'] == 'resolve' else ''}"
            for one in service.events
        ],
    ),
}


class Ledger:
    """Takes every word and keeps none."""

    def __getattr__(self, _name):
        async def heard(*_words):
            return None

        return heard


def rows(kind, first_id):
    for number, site in enumerate(SITES):
        incident = Incident(
            id=number,
            key=f"netwatch/{site}",
            cause=Cause("site", site),
            sites=(site,),
            severity="critical",
            opened=OPENED,
            updated=OPENED,
            closed=OPENED + 600 if kind == "recover" else None,
            close_reason="recovered" if kind == "recover" else "",
            sequence=2 if kind == "recover" else 1,
        )
        yield OutboxRow(id=first_id + number, page=Page(incident=incident, kind=kind, wall=OPENED + 9, pager="noc"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_incident_is_opened_and_closed_at_the_far_end_in_order(kind):
    service, options, address, view = KINDS[kind]
    script = BROKEN if kind == "webhook" else BROKEN + NOT_ITS_OWN

    async def scenario():
        async with hostile(service()) as server, asyncio.timeout(60), asyncio.TaskGroup() as group:
            delivery = Delivery(Ledger(), wall=lambda: OPENED + 10, timing=QUICK, settings=Settings(pages_per_minute=6_000.0))
            delivery.configure(
                {"noc": PagerSettings(name="noc", kind=kind, options={**options, address: server.url, "pages_per_minute": 6_000.0})}
            )
            running = group.create_task(delivery.run())
            for number, what in enumerate(("open", "recover")):
                server.script += script
                already = server.asked
                delivery.accept(list(rows(what, 10 * number)))
                await server.wait_for(already + len(script) + len(SITES) - 1)  # at least that: LOST has delivered one
                while delivery.pending:  # noqa: ASYNC110  # the answer is on its way
                    await asyncio.sleep(0.01)
            delivery.stop()
            await running
            return server

    server = asyncio.run(scenario())
    told = view(server.service)
    for site in SITES:
        about = ["đã kết nối lại" in text for text in told if site in urllib.parse.unquote(text)]
        assert about == sorted(about), "no opening after a recovery"
        assert set(about) == {False, True}
    assert len(told) <= 2 * (len(SITES) + 2), "twice only what was lost on the way"
    if kind == "pagerduty":
        assert server.service.alerts == {}

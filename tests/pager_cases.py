"""Pages and pagers for the tests of pagers."""

import asyncio
import dataclasses

import aiohttp

from netwatch.model import Acknowledgement, Cause, Incident, Page, PagerSettings, PageText, Subject
from netwatch.pagers import build
from tests.pager_services import NTFY_TOPIC, PAGERDUTY_KEY, SLACK_PATH, SLACK_TOKEN, TELEGRAM_TOKEN, ZALO_TOKEN

OPENED = 1_795_463_220.0
TEXT = PageText(
    title="🔴 Nà Tấu mất kết nối (cả điểm) từ 02:47",
    body="🔴 Nà Tấu mất kết nối (cả điểm) từ 02:47\nTừ 02:47 (2 phút) · Nghiêm trọng · #7\nXem: https://nw.example.vn/sites/na-tau",
    sms="Na Tau mat ket noi (ca diem) tu 02:47 #7",
    url="https://nw.example.vn/sites/na-tau",
    acknowledge_url="https://nw.example.vn/a/7?k=c2lnbmVk",
)
# What a device may say of itself. Nothing of it may act anywhere.
NASTY = (
    "<b>x</b> & *y* _z_ `q` [l](http://evil.example) <!channel> <@U1> :fire: &lt; \x1b[2J\x00\u202egnp.\u2066\u200f\r\u2028\ud800 {0} %s"
)
CANARIES = (TELEGRAM_TOKEN, ZALO_TOKEN, NTFY_TOPIC, SLACK_TOKEN, SLACK_PATH, PAGERDUTY_KEY)


def page(kind="open", name="noc", **changes):
    incident = Incident(
        id=7,
        key="netwatch/na-tau",
        cause=Cause("site", "na-tau"),
        sites=("na-tau",),
        severity="critical",
        opened=OPENED,
        updated=OPENED,
        sequence=1,
        members=(Subject("na-tau/line1/icmp"),),
        facts={"site_name": "Nà Tấu"},
    )
    return Page(incident=dataclasses.replace(incident, **changes), kind=kind, wall=OPENED + 9, pager=name)


def acknowledged(**changes):
    return page("update", acknowledgement=Acknowledgement(who="Trực ca A", wall=OPENED + 60), **changes)


def texted(body="", **changes):
    return dataclasses.replace(TEXT, **({"body": body} if body else {}), **changes)


def pager(kind, language="vi", **options):
    return build(PagerSettings(name="noc", kind=kind, options=options, language=language))


def send(one, made, text=TEXT, thread=None):
    """One attempt, in a session of its own."""

    async def attempt():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http, asyncio.timeout(30):
            return await one.send(made, text, thread, http)

    return attempt()


def telegram(url, **options):
    return pager("telegram", **{"token": TELEGRAM_TOKEN, "chat_id": -1001, "api_url": url, **options})


def zalo(url, **options):
    return pager("zalo", **{"token": ZALO_TOKEN, "chat_id": "abc.xyz-1", "api_url": url, **options})


def ntfy(url, **options):
    return pager("ntfy", **{"topic": NTFY_TOPIC, "server": url, **options})


def pagerduty(url, **options):
    return pager("pagerduty", **{"routing_key": PAGERDUTY_KEY, "api_url": url, **options})


def slack_hook(url, **options):
    return pager("slack", **{"url": url + SLACK_PATH, **options})


def slack_bot(url, **options):
    return pager("slack", **{"token": SLACK_TOKEN, "channel": "#noc", "api_url": url, **options})

"""An inventory with a duty roster, for the tests."""

import base64

from tests.inventories import HEAD, compose

ZONE = "Asia/Ho_Chi_Minh"
PAGERS = """\
pagers:
  an-zalo: {pager: webhook, url: "http://127.0.0.1:1/an", secret: "${S}"}
  binh-zalo: {pager: webhook, url: "http://127.0.0.1:1/binh", secret: "${S}", fallback: binh-sms}
  binh-sms: {pager: webhook, url: "http://127.0.0.1:1/sms", secret: "${S}"}
  chi-zalo: {pager: webhook, url: "http://127.0.0.1:1/chi", secret: "${S}"}
  chief-zalo: {pager: webhook, url: "http://127.0.0.1:1/chief", secret: "${S}"}
  wall: {pager: webhook, url: "http://127.0.0.1:1/wall", secret: "${S}"}
"""
DUTY = """\
duty:
  people:
    an: {name: Trực ca 1, phone: "09xx xxx 001", pagers: [an-zalo]}
    binh: {name: Trực ca 2, pagers: [binh-zalo]}
    chi: {name: Trực ca 3, pagers: [chi-zalo]}
    chief: {name: Trưởng phòng, pagers: [chief-zalo]}
  rotations:
    noc: {order: [an, binh], starts: 2026-11-30, handover: "07:30"}
  shifts:
    day: {days: "mon,tue,wed,thu,fri", from: "07:30", until: "17:30", who: noc}
    night: {days: "mon,tue,wed,thu,fri", from: "17:30", until: "07:30", who: noc, wakes: critical}
    weekend: {days: "sat,sun,holiday", from: "07:30", until: "07:30", who: noc, wakes: critical}
    tet: {days: tet, from: "07:30", until: "07:30", who: chi}
  holidays:
    tet: {lunar: "01-01", before: 1, after: 4}
    september: {date: "09-02"}
  exceptions:
    - {person: an, from: 2026-12-03, until: 2026-12-03, instead: chi}
  office: {from: "07:30", until: "17:00"}
  areas:
    - {match: {site: muong-phang}, tell: chi, hours: office, alone: true}
  escalation:
    - {after: 15m, to: backup}
    - {after: 30m, to: [chief, binh-sms]}
  quiet: [role=printer]
  queue: on-duty
"""
SITES = """\
sites:
  na-tau: {n: 34, code: "03316"}
  muong-phang: {n: 35, code: "03325", devices: {p: {profile: printer, host: 40, snmp: {community: "${S}"}}}}
"""
ENVIRONMENT = {"S": "whsec_" + base64.b64encode(bytes(range(32))).decode()}


def written(duty=DUTY, sites=SITES, pagers=PAGERS):
    return compose(sites, head=HEAD, more=pagers + duty)

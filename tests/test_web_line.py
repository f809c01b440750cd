"""The evidence sheet asked for over HTTP."""

import asyncio
import csv
import io
import json
import re

import pytest

from netwatch.model import Inventory
from tests.lines import SITE, a_month
from tests.page_server import page


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return a_month(tmp_path_factory.mktemp("state"))


def get(path, ledger, *, sites=(SITE,), **options):
    async def scenario():
        async with page() as (daemon, client):
            daemon.in_force = Inventory(sites={site.id: site for site in sites}, checks={})
            daemon.ledger_at = ledger.path
            async with client.get(path, **options) as answer:
                return answer.status, answer.headers, await answer.text()

    return asyncio.run(scenario())


def test_the_sheet_is_a_page_to_print_that_obeys_its_own_policy(ledger):
    status, headers, text = get("/line/na-tau/2026-10", ledger)
    assert status == 200
    assert "Bản ghi bằng chứng đường truyền" in text
    assert "<style" not in text
    assert " style=" not in text
    assert re.search(r'<link rel="stylesheet" href="/static/[0-9a-f]{16}/line.css">', text)
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    for link in ("/sites/na-tau", "/line/na-tau/2026-09", "/line/na-tau/2026-11", "/line/na-tau/2026-10.csv", "/line/na-tau/2026-10.json"):
        assert f'href="{link}"' in text


def test_the_page_of_a_site_leads_to_the_sheet_of_this_month(ledger):
    text = get("/sites/na-tau", ledger)[2]
    link = re.search(r'href="(/line/na-tau/\d{4}-\d{2})">Bản ghi bằng chứng', text)[1]
    assert get(link, ledger)[0] == 200


def test_the_sheet_speaks_english_when_asked(ledger):
    assert "Evidence of a line" in get("/line/na-tau/2026-10?lang=en", ledger)[2]


def test_the_same_as_files(ledger):
    status, headers, text = get("/line/na-tau/2026-10.csv", ledger)
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="netwatch-na-tau-2026-10.csv"')
    assert len(list(csv.DictReader(io.StringIO(text, newline="")))) == 9
    status, headers, text = get("/line/na-tau/2026-10.json", ledger)
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="netwatch-na-tau-2026-10.json"')
    assert len(json.loads(text)["records"]) == 9
    status, headers, text = get("/line/na-tau/2026-10.txt", ledger)
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="netwatch-na-tau-2026-10.txt"')
    assert text.count("\nrecord ") == 9


def test_a_month_in_which_nothing_was_tested_says_so(ledger):
    status, _, text = get("/line/na-tau/2026-08", ledger)
    assert status == 200
    assert text.count("Trong tháng chưa có lượt đo nào.") == 4


def test_a_site_that_left_the_inventory_keeps_its_sheets(ledger):
    assert get("/line/na-tau/2026-10", ledger, sites=())[0] == 200


@pytest.mark.parametrize(
    "path", ["/line/nowhere/2026-10", "/line/na-tau/2026-13", "/line/na-tau", "/line/na-tau/2026-10.pdf", "/line/../2026-10"]
)
def test_what_is_not_there_is_not_found(ledger, path):
    assert get(path, ledger)[0] == 404

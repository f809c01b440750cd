import pytest

from netwatch import inventory
from netwatch.inventory import InventoryRefused
from netwatch.model import Secret
from netwatch.pagers import EventPager, build
from tests.inventories import compose
from tests.pager_services import NTFY_TOPIC, PAGERDUTY_KEY, SLACK_TOKEN, TELEGRAM_TOKEN, ZALO_TOKEN

TELEGRAM = f'{{pager: telegram, token: "{TELEGRAM_TOKEN}", chat_id: -1001}}'
ZALO = f'{{pager: zalo, token: "{ZALO_TOKEN}", chat_id: abc}}'
APPRISE = '{pager: apprise, url: "json://canary"}'
ALERTMANAGER = '{pager: alertmanager, urls: "http://127.0.0.1:9093"}'

pytestmark = pytest.mark.filterwarnings("ignore:.*slated for removal:DeprecationWarning")  # apprise imports imghdr


def examined(tmp_path, environment=None, **pagers):
    path = tmp_path / "inventory.yaml"
    path.write_text(compose(more="pagers:\n" + "".join(f"  {name}: {entry}\n" for name, entry in pagers.items())), "utf-8")
    return inventory.examine(path, environment=environment or {})


def complaints(tmp_path, **pagers):
    try:
        _found, told = examined(tmp_path, **pagers)
    except InventoryRefused as refused:
        told = refused.errors
    return [(one.key, one.path) for one in told if one.path.startswith("pagers") and one.key != "secret_in_clear"]


def test_every_pager_over_http_can_be_written_down(tmp_path):
    found, _warnings = examined(
        tmp_path,
        {"KEY": PAGERDUTY_KEY, "OLD": PAGERDUTY_KEY[::-1], "CHAT": "-1001", "TOKEN": TELEGRAM_TOKEN, "TOPIC": NTFY_TOPIC},
        duty='{pager: pagerduty, routing_key: "${KEY}", former_routing_keys: ["${OLD}"], fallback: zalo}',
        telegram='{pager: telegram, token: "${TOKEN}", chat_id: "${CHAT}", topic: 3, language: en}',
        zalo=ZALO,
        push='{pager: ntfy, topic: "${TOPIC}", server: "https://ntfy.example.vn"}',
        chat=f'{{pager: slack, token: "{SLACK_TOKEN}", channel: "#noc"}}',
        hook='{pager: slack, url: "https://hooks.slack.com/services/T/B/X"}',
    )
    built = {name: build(settings) for name, settings in found.pagers.items()}
    assert all(isinstance(one, EventPager) for one in built.values())
    assert (built["telegram"].chat_id, built["telegram"].language, built["zalo"].language) == ("-1001", "en", "vi")
    assert built["duty"].former_routing_keys == (Secret(PAGERDUTY_KEY[::-1]),)


def test_secrets_in_clear_are_sealed_too(tmp_path):
    found, _warnings = examined(
        tmp_path,
        duty=f"{{pager: pagerduty, routing_key: {PAGERDUTY_KEY}, former_routing_keys: [{PAGERDUTY_KEY[::-1]}]}}",
        push=f"{{pager: ntfy, topic: {NTFY_TOPIC}}}",
        telegram=TELEGRAM,
    )
    shown = repr(found.pagers)
    for secret in (PAGERDUTY_KEY, PAGERDUTY_KEY[::-1], NTFY_TOPIC, TELEGRAM_TOKEN):
        assert secret not in shown


def test_a_secret_in_clear_is_warned_of_wherever_it_stands(tmp_path):
    _found, warnings = examined(
        tmp_path,
        {"KEY": PAGERDUTY_KEY, "TOPIC": NTFY_TOPIC},
        duty=f'{{pager: pagerduty, routing_key: "${{KEY}}", former_routing_keys: ["${{KEY}}", {PAGERDUTY_KEY[::-1]}]}}',
        push=f"{{pager: ntfy, topic: {NTFY_TOPIC}}}",
        quiet='{pager: ntfy, topic: "${TOPIC}"}',
        zalo=ZALO,
    )
    told = [one.path for one in warnings if one.key == "secret_in_clear"]
    assert told == ["pagers.duty.former_routing_keys[1]", "pagers.push.topic", "pagers.zalo.token"]


def test_telegram_alone_is_warned_of(tmp_path):
    assert complaints(tmp_path, a=TELEGRAM, b=TELEGRAM) == [("telegram_alone", "pagers.a"), ("telegram_alone", "pagers.b")]
    assert complaints(tmp_path, a=TELEGRAM, b=APPRISE) == [("telegram_alone", "pagers.a")], "apprise is no company"
    assert complaints(tmp_path, a=TELEGRAM, b=ZALO) == []
    assert complaints(tmp_path, a=TELEGRAM, b=ALERTMANAGER) == []
    assert complaints(tmp_path, b=ZALO) == []


def test_apprise_may_not_be_alone(tmp_path):
    assert complaints(tmp_path, a=APPRISE) == [("apprise_alone", "pagers.a")]
    assert complaints(tmp_path, a=APPRISE, b=ZALO) == []


def test_only_a_pager_of_events_can_take_over(tmp_path):
    chained = ZALO.replace("}", ", fallback: b}")
    assert complaints(tmp_path, a=chained, b=ALERTMANAGER) == [("fallback_of_states", "pagers.a.fallback")]
    assert complaints(tmp_path, a=chained, b=TELEGRAM) == []
    assert complaints(tmp_path, a=chained) == [("unknown_pager_name", "pagers.a.fallback")]


@pytest.mark.parametrize(
    ("entry", "key", "path"),
    [
        (ZALO.replace("chat_id", "chat"), "unknown_key", "pagers.a.chat"),
        (ZALO.replace(ZALO_TOKEN, "canary"), "pager_option", "pagers.a.token"),
        ('{pager: slack, channel: "#noc"}', "pager_option", "pagers.a"),
        ('{pager: apprise, url: "nosuch://canary"}', "pager_option", "pagers.a"),
        ("{pager: pagerduty}", "pager_option", "pagers.a.routing_key"),
        ("{pager: zallo}", "unknown_pager", "pagers.a.pager"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path, entry, key, path):
    with pytest.raises(InventoryRefused) as refused:
        examined(tmp_path, a=entry, b=ZALO)
    assert (key, path) in [(one.key, one.path) for one in refused.value.errors]
    told = "\n".join(one.block(language) for one in refused.value.errors for language in ("vi", "en"))
    assert "canary" not in told


def test_everything_wrong_with_an_entry_is_said_at_once(tmp_path):
    entry = '{pager: telegram, token: "canary", chat_id: "no chat", chat: 5, topic: many}'
    assert sorted(complaints(tmp_path, a=entry, b=ZALO)) == [
        ("pager_option", "pagers.a.chat_id"),
        ("pager_option", "pagers.a.token"),
        ("pager_option", "pagers.a.topic"),
        ("unknown_key", "pagers.a.chat"),
    ]

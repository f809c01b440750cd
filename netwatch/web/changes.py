"""What the page and the API say of changes of belief. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netwatch.lang import Catalog
from netwatch.model import Belief, State, Transition
from netwatch.snapshot import SiteView
from netwatch.web import words as say

__all__ = ["transition_text", "without_first_beliefs"]


def without_first_beliefs(newest_first: Sequence[Transition]) -> tuple[Transition, ...]:
    """Less what only says that something new was found well: after a start that is one for every check and rule."""
    told = []
    doubted = set()
    for one in reversed(newest_first):
        first = one.old is Belief.UNKNOWN and one.new is Belief.OK and one.subject not in doubted
        if one.new is not Belief.OK:
            doubted.add(one.subject)
        if not first:
            told.append(one)
    return tuple(reversed(told))


def transition_text(transition: Transition, view: SiteView | None, words: Catalog) -> str:
    """What changed: `Router / icmp: Bình thường → Sự cố (không trả lời)`."""
    subject = transition.subject
    _site, _, rest = subject.check.partition("/")
    wanted, _, check = rest.partition("/")
    target = next((one for one in view.targets if one.id == wanted), None) if view else None
    named = say.target_name(target, words) if target else wanted
    what = _rule_name(subject.rule, subject.instance, words) if subject.rule else check
    return f"{named} / {what}: {_change_text(transition, words)}"


def _rule_name(rule: str, instance: str, words: Catalog) -> str:
    """`Khay hết giấy · Tray 1`; a part that is called as the rule is named once."""
    key = f"state.rule_{rule}"
    name = words.text(key) if words.has(key) else rule
    part = say.part_name(instance, words) if instance != rule else ""
    return f"{name} · {part}" if part and part.casefold() != name.casefold() else name


def _change_text(transition: Transition, words: Catalog) -> str:
    """A first silence is no failure yet, and what ends it is told the same whether it had become one."""
    reason = ""
    if transition.new is not Belief.OK and transition.code != transition.subject.rule:
        reason = say.reason_text(transition.code, transition.detail, words)
    old, new = (say.state_text(State(belief.value), words) for belief in (transition.old, transition.new))
    if not transition.hard:
        return words.text("state.rechecking_why", why=reason) if reason else words.text("state.soft")
    if transition.new is Belief.OK and transition.old is not Belief.UNKNOWN:
        return words.text("state.well_again")
    changed = f"{old} → {new}" if old != new else f"{new} {words.text('state.settled')}"
    return f"{changed} ({reason})" if reason else changed

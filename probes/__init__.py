"""The contract of a probe: one way to measure a device or a line. Nothing here knows of netwatch.

A new probe type is one public module in this folder and its test. The file's name is the `probe:` key in
inventory.yaml; the fields of its one `Probe` subclass are the other keys.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

__all__ = [
    "BEAT_SECONDS",
    "Ended",
    "Metric",
    "Probe",
    "ProbeFailed",
    "ProbeMisconfigured",
    "Reading",
    "Resource",
    "Sample",
    "Secret",
    "Shared",
    "Target",
    "UnknownProbe",
    "get",
    "names",
]

# Waking up is what costs. What nobody waits for is done together, at multiples of this on the running loop's clock.
BEAT_SECONDS = 0.2


class Secret:
    """A string that never shows itself; only `reveal()` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured quantity in base units (seconds, bytes, ratios).

    `name` is a key of `Probe.metrics()`. A train's round-trip times are one sample with several values.
    `instance` says which port, tray or supply; empty where there is just one.
    """

    name: str
    values: tuple[float, ...]
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """How a sample is exported and kept. It is exported as `netwatch_<name>`, counters with `_total`.

    `labels` names what the daemon adds; `instance_label` is the label that carries `Sample.instance`.
    A `counter` sample carries what this run adds, not a running total. `keep` says how history rolls it up.
    """

    kind: Literal["gauge", "counter", "histogram"]
    unit: str
    help: str
    instance_label: str = ""
    keep: Literal["smoke", "mean", "change", "none"] = "none"
    labels: tuple[Literal["site", "target", "device", "check"], ...] = ("site", "target", "check")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one run measured. `facts` are texts: profile, sysName, console text, certificate issuer."""

    samples: tuple[Sample, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


class ProbeFailed(Exception):
    """A wrong answer, or none: the device's fault, with what was measured all the same.

    `code` is a short stable word for machines (`timeout`, `refused`, `status`); `reading.detail` is for people.
    """

    def __init__(self, code: str, detail: str = "", reading: Reading | None = None) -> None:
        self.code = code
        self.reading = reading if reading is not None else Reading(detail=detail)
        super().__init__(detail or self.reading.detail or code)


class ProbeMisconfigured(ProbeFailed):
    """It answers, but not to us: what we were told to say, such as a user or a key, is not what it accepts.

    Ours to mend, so the runner makes it an ERROR: we cannot see, and nobody may say that the device is down.
    """


def _ignore(_sample: Sample) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Target:
    """What one run is aimed at.

    `deadline` is on the running loop's clock (`loop.time()`); the runner enforces it, a probe only divides what is
    left. `report` hands over a sample at once, so that a run that is cut off keeps it: report or return, not both.
    `recheck` asks for the quickest form of the measurement (icmp sends one echo): somebody waits for the answer.
    `others_bits_per_second` is what others are expected to send over the line meanwhile, at most, where that is known; the figures
    that will tell what they sent reach beyond the run by `counted_around_seconds` at both its ends together.
    """

    address: str
    deadline: float
    source: str | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    report: Callable[[Sample], None] = _ignore
    recheck: bool = False
    others_bits_per_second: float = 0.0
    counted_around_seconds: float = 8.0


class Resource(Protocol):
    """Something opened once for the whole daemon, such as the ICMP socket. Made without arguments."""

    async def aclose(self) -> None: ...


R = TypeVar("R", bound=Resource)
Ended: TypeAlias = Callable[[Callable[[], Reading]], None]  # is given what returns or raises as `Probe.run` would


class Shared:
    """Gives each kind of resource once, and closes them all at the end.

    Never for HTTP keep-alive or a DNS cache: each run meets what a user would meet.
    """

    def __init__(self) -> None:
        self._resources: dict[type[Any], Any] = {}

    def get(self, kind: type[R]) -> R:
        resource = self._resources.get(kind)
        if resource is None:
            resource = self._resources[kind] = kind()
        return resource

    async def aclose(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            while self._resources:
                stack.push_async_callback(self._resources.popitem()[1].aclose)


@dataclass(kw_only=True, eq=False)  # no slots: they break super() and __init_subclass__
class Probe(ABC):
    """One way to measure. A subclass's fields are its keys in inventory.yaml; an unknown key is an error.

    Each check has its own instance and its runs never overlap: memory from run to run is a `field(init=False)`.
    A probe measures. It does not judge, schedule, log, or catch Exception. OSError and TimeoutError propagate.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False, "strict": True, "arbitrary_types_allowed": True}
    # Keys of inventory.yaml that are no fields: they are kept apart, and a run finds them in `Target.secrets`.
    secret_names: ClassVar[tuple[str, ...]] = ()

    def needs(self) -> Collection[str]:
        """Which of `secret_names` it cannot do without, as it is set."""
        return ()

    def metrics(self) -> Mapping[str, Metric]:
        """Every sample name this probe can give. A profile may add its own."""
        return {}

    async def prepare(self, shared: Shared) -> None:  # noqa: B027  # most kinds need nothing
        """Opens what every run of this kind needs. Asked once at start; raises OSError where this host forbids it."""

    def begin(self, target: Target, shared: Shared, ended: Ended) -> bool:  # noqa: ARG002  # most kinds have only `run`
        """`run` without a task, for a kind that runs by the thousand. False: nothing was begun, use `run`.

        After True `ended` is called once, by the deadline, which nobody else enforces; perhaps before this returns.
        """
        return False

    @abstractmethod
    async def run(self, target: Target, shared: Shared) -> Reading:
        """Measures once. Raises ProbeFailed for a wrong answer or none, ProbeMisconfigured where the fault is ours."""


class UnknownProbe(LookupError):
    """No probe type of that name."""


def names() -> tuple[str, ...]:
    """The probe types there are, by file name."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_") and not module.ispkg))


def get(name: str) -> type[Probe]:
    """The one Probe subclass of `probes/<name>.py`.

    Raises UnknownProbe for an unknown name, TypeError for a module that breaks the contract.
    """
    if name not in names():
        raise UnknownProbe(f"unknown probe {name!r}; there are: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Probe) and thing is not Probe and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define exactly one Probe, found {len(found)}")
    if "__dataclass_params__" not in vars(found[0]) or not dataclasses.is_dataclass(found[0]):
        raise TypeError(f"{module.__name__}.{found[0].__name__} needs @dataclass(kw_only=True, eq=False)")
    return found[0]


def memory(factory: Callable[[], Any]) -> Any:
    """A field a probe keeps from run to run; not a key of inventory.yaml."""
    return field(init=False, repr=False, default_factory=factory)

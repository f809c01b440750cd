"""Is a line's contract met? What speaks for it, the judge, what has become of a line, and the record of a verdict. Pure."""

from netwatch.line._again import evidence_of, judged_again
from netwatch.line._evidence import (
    GRADES,
    Bounds,
    Carried,
    Clock,
    Control,
    CounterReading,
    Counters,
    Direction,
    Evidence,
    Grade,
    Limits,
    Measurement,
    PortReading,
    carried,
    cross_traffic,
    port_ceiling,
)
from netwatch.line._judge import Decision, Past, Standing, Step, Verdict, below_contract, judge, standing
from netwatch.line._measurement import Malformed, measurement_of, passed_bytes
from netwatch.line._rates import RatePoint, counters_of
from netwatch.line._record import Subject, figures_of, past_of, record_of, wall_of
from netwatch.line._together import is_open

__all__ = [
    "GRADES",
    "Bounds",
    "Carried",
    "Clock",
    "Control",
    "CounterReading",
    "Counters",
    "Decision",
    "Direction",
    "Evidence",
    "Grade",
    "Limits",
    "Malformed",
    "Measurement",
    "Past",
    "PortReading",
    "RatePoint",
    "Standing",
    "Step",
    "Subject",
    "Verdict",
    "below_contract",
    "carried",
    "counters_of",
    "cross_traffic",
    "evidence_of",
    "figures_of",
    "is_open",
    "judge",
    "judged_again",
    "measurement_of",
    "passed_bytes",
    "past_of",
    "port_ceiling",
    "record_of",
    "standing",
    "wall_of",
]

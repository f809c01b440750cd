"""Is the room ready? What is known of a place before a meeting, the judge of it, and how two places would hear each other. Pure."""

from netwatch.conference._evidence import Bridge, Endpoint, Evidence, Leg, Limits, Power, Proof
from netwatch.conference._prediction import Pair, matrix, predicted
from netwatch.conference._readiness import LEVELS, Level, Readiness, Reason, Whom, quality_reason, readiness

__all__ = [
    "LEVELS",
    "Bridge",
    "Endpoint",
    "Evidence",
    "Leg",
    "Level",
    "Limits",
    "Pair",
    "Power",
    "Proof",
    "Readiness",
    "Reason",
    "Whom",
    "matrix",
    "predicted",
    "quality_reason",
    "readiness",
]

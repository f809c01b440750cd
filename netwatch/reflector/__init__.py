"""The far end of line tests: a small process at a site.

It travels alone: only with the standard library, `probes._wire`, `_paced`, `_control`, `_stream_socket` and `_clock`.
"""

from netwatch.reflector._dial import Dialler
from netwatch.reflector._limits import Limits, Network
from netwatch.reflector._server import Reflector

__all__ = ["Dialler", "Limits", "Network", "Reflector"]

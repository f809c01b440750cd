"""Does a TCP port accept a connection, and how long does that take?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from probes import Metric, Probe, Reading, Sample, Shared, Target, _connect

__all__ = ["Tcp"]


@dataclass(kw_only=True, eq=False)
class Tcp(Probe):
    """Opens one connection and closes it again; sends nothing. The time is SYN to SYN-ACK, without the name's look-up."""

    port: Annotated[int, Field(ge=1, le=65535)]

    def metrics(self) -> Mapping[str, Metric]:
        return {"tcp_connect_seconds": Metric("gauge", "seconds", "Time to open a TCP connection.", keep="mean")}

    async def run(self, target: Target, shared: Shared) -> Reading:
        del shared
        addresses = _connect.literal(target.address, self.port) or await _connect.resolve(target.address, self.port)
        clock = asyncio.get_running_loop().time
        began = clock()
        connection = await _connect.connect(addresses, target.source)
        seconds = clock() - began
        connection.close()
        return Reading((Sample("tcp_connect_seconds", (seconds,)),))

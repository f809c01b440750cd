"""45 sites on this machine: a link emulator, devices that answer, faults on time. The daemon never imports it."""

"""The whole test run lives in a network namespace of its own: it cannot reach, or be reached by, anything else."""

import warnings

from netwatch.lab.namespaces import NamespaceRefused, enter_private_network

PRIVATE_NETWORK = True
try:
    enter_private_network()
except NamespaceRefused as refusal:
    PRIVATE_NETWORK = False
    WHY_NOT = str(refusal)


def pytest_configure(config):
    from hypothesis import settings

    settings.register_profile("netwatch", deadline=None)  # a busy machine is not a bug
    settings.load_profile("netwatch")
    config.addinivalue_line("markers", "needs_private_network: wants ICMP sockets, which a private network namespace allows")


def pytest_runtest_setup(item):
    import pytest

    if not PRIVATE_NETWORK and item.get_closest_marker("needs_private_network"):
        pytest.skip(f"no private network namespace: {WHY_NOT}")


warnings.filterwarnings("error")

"""The whole test run lives in a network namespace of its own: it cannot reach, or be reached by, anything else."""

import os
import warnings

import pytest

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


PACED = frozenset(
    [
        "capacity_router",
        "capacity_streams",
        "dialled",
        "hostile_streams",
        "line_bench",
        "line_full",
        "line_methods",
        "line_page_browser",
        "line_tests",
        "lines_lab",
        "paced",
        "probe_bandwidth",
        "probe_full",
        "reflector",
        "reflector_iperf3",
        "round_bench",
        "shaped_line",
        "stamp_train",
        "streams",
    ]
)


def pytest_collection_modifyitems(items):
    """A file is one process's; all that fill a line at a pace are the same process's: two at once take the time of each other's packets."""
    for item in items:
        name = item.path.stem.removeprefix("test_")
        item.add_marker(pytest.mark.xdist_group("paced" if name in PACED else name))


def pytest_runtest_setup(item):
    if not PRIVATE_NETWORK and item.get_closest_marker("needs_private_network"):
        pytest.skip(f"no private network namespace: {WHY_NOT}")


warnings.filterwarnings("error")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """On CI everything the tests need is installed: a skip hides something, so it fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("a test was skipped on CI: the run fails", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

"""Says in one line what is missing to make the virtual environment; any Python 3 can run it."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # it is an older Python that must be told
    sys.exit("netwatch needs Python 3.11 or newer. Name one: make demo PYTHON=python3.11")
try:
    import ensurepip  # noqa: F401  # only whether it is there
    import venv  # noqa: F401
except ImportError:
    sys.exit("this Python cannot make virtual environments: apt-get install python3-venv")

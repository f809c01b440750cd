"""Watches the internet lines and the equipment of the 45 commune sites of Điện Biên province."""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""Bytes to frozen dataclasses and back: pure, no sockets, fuzzed."""

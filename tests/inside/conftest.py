"""Fixtures of the tests of what happens inside a job."""

from inside_tools import place

__all__ = ["place"]

"""Fixtures of the tests of workflows."""

from flow_tools import place

__all__ = ["place"]

"""Limits: how often and how many at once jobs may run, and how many there may be of what is the same (docs/limits.md).

Pure functions over small values, and a loop that changes a value by compare-and-set (`naq.backends.base.Entries`); the
same for every backend.
"""

"""Histories to measure with."""

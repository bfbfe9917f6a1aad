"""Bytes on the wire: envelope, arguments, results, errors, headers. Pure functions."""

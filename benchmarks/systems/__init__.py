"""One file a system: its producer and, for most, the module that its own runner loads.

Imported only by processes in that system's environment (the driver, the workers), never by the harness.
"""

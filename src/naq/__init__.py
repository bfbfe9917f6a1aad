"""naq: background jobs for Python that need nothing to start and that nobody outgrows."""

from naq._version import __version__

__all__ = ["__version__"]

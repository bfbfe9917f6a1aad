"""The one place the version stands; the build reads it, `naq --version` prints it before any other import."""

__version__ = "0.1.0"

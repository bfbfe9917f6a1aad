"""Code around every enqueue and every attempt of an app's jobs: ``Naq("shop", middleware=[Logging()])``."""

from naq.middleware.base import Middleware, NewJob
from naq.middleware.errors import ErrorReporting
from naq.middleware.logs import Logging
from naq.middleware.otel import OpenTelemetry
from naq.middleware.prometheus import Prometheus

__all__ = ["ErrorReporting", "Logging", "Middleware", "NewJob", "OpenTelemetry", "Prometheus"]

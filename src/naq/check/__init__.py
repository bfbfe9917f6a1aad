"""Would the code at hand take what waits, and does it say what it means? Runs nothing and changes nothing."""

from naq.check.broker import read_broker
from naq.check.code import read_code
from naq.check.findings import Finding, Refused, Report

__all__ = ["Finding", "Refused", "Report", "read_broker", "read_code"]

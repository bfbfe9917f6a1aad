"""Results by job id."""

from __future__ import annotations

from naq.handle import Job

fetch_job_result = Job.fetch_result
fetch_job_result_sync = Job.fetch_result_sync

"""The server: what happened to every job, kept in SQL and served. Optional; queue, workers and CLI work without it."""

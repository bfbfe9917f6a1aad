"""Broker, workers and what else there is, as one tree of processes: ``naq dev``, ``worker --reload``, ``make demo``.

`tree` starts services and takes every one of them along when it ends; `broker`, `workers` and `server` are such
services, `watch` and `keys` are what they react to, `find`, `new` and `hold` are about the folder of a project.
"""

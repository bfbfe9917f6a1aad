"""Alerts: rules, judged by one server at a time; incidents; messages to webhooks and by e-mail. docs/alerts.md."""

"""Alerts: what changed is told to people and hooks, without Prometheus."""

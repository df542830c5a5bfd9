"""Metrics, for Prometheus."""

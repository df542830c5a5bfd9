"""Flower as it comes with tokenworker: what it is started with, and what its API hands out."""

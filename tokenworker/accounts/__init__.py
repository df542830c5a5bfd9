"""Whom we keep credentials for."""

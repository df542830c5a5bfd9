"""Clients: the services that may ask, and what each may do."""

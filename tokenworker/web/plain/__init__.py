"""The plain face: JSON for everybody, by bearer keys."""

"""Proofs on real processes that there is one fetch per token life: run `python tests/prove`."""

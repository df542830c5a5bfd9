"""Proofs on real processes that there is one fetch per token life: run `python -m acceptance` in the folder tests."""

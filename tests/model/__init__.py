"""A model of everything that happens to one account: workers, WeChat, Redis and its clock, messages, a reader.

The product is real, and so is Redis; WeChat is the sandbox's platform, called without HTTP. `world` says what can
happen, `record` what is true, `witness` compares the two, `workers` and `process` let refreshes interleave step by
step, `upstream` and `clock` stand for WeChat and time. `servers` has a replica that lags and takes over, while the old
master goes on for those who are cut off; `commits` repeats commits when told to, not in a thread. `stories` are things
that go wrong elsewhere, `machine` tries everything in any order, and `bugs` are faults of ours that the stories must
bring to light.
"""

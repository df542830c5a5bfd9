"""A model of everything that happens to one account: workers, WeChat, Redis and its clock, messages, a reader.

The product is real, and so is Redis; WeChat is the sandbox's platform, called without HTTP. `world` says what can
happen and what must hold, `record` what is true, `workers` and `process` let refreshes interleave step by step,
`upstream` and `clock` stand for WeChat and time, `bugs` are faults to be found, and `machine` tries everything.
"""

"""`tokenworker web`: HTTP for services in every language, for monitoring, and for people.

It reads what workers keep, and asks them by task. It holds no AppSecret, never calls WeChat, and any number of its
processes may run. A file here is a face, which ends with its `routes`; `app` collects them, `handler` is what they have
in common, and `held` what a process holds.
"""

"""The faces that answer as WeChat and WeCom do."""

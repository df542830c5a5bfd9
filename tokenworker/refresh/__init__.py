"""When WeChat is called, and the one call."""

"""How WeChat is called, and what its answers mean."""

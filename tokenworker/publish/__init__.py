"""Published copies, as SDKs keep them."""

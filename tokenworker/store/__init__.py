"""What Redis knows, and how it is changed."""

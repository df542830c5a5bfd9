"""What callers give to our tasks, and where they find the results."""

"""Worker processes, and what is said to them."""

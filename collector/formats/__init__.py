"""What events look like as bytes, and as tables."""

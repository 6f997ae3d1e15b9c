"""What is saved of a damaged journal."""

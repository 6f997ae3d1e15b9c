"""What the operator sees: logs, and the live view of a terminal."""

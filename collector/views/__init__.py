"""What the operator sees: logs, the live view of a terminal, and the same of a service elsewhere."""

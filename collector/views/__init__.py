"""What the operator sees: logs, for now."""

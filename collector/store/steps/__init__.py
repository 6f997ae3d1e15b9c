"""The journal's SQL: one transaction each."""

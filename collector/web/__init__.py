"""Asking others over HTTP: which way leads there, whom to trust, how much of an answer is read."""

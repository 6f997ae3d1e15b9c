"""Bells, pauses and clocks."""

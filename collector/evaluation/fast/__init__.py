"""Shortcuts to what Evidently makes of a report: the same text, in a fraction of the time.

Each module is named by what it stands in for, ``known`` tells which versions of Evidently may be stood in for, and
``taken`` has them all.
"""

"""Stands in Evidently's place for a daemon that evaluates nothing in its test: it never finishes loading.

To import the real one costs a processor some 4 s; this one waits, and costs nothing.
"""

import signal

while True:
    signal.pause()

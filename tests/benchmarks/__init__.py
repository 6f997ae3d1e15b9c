"""Benchmarks: our daemon and the original collector under the same load, in turn; ``python -m tests.benchmarks``.

- ``figures``      what was measured, the goals, and whether they are met
- ``table``, ``readme``, ``plot``   how it is shown
- ``bench``        one run: its rounds, its directory, its children
- ``processes``, ``services``      what is started: the two collectors, Evidently's UIs, helpers that stay warm
- ``load``, ``prober``, ``warm``, ``in_turn``, ``peer``   scripts that they run; they import no more than they need
- ``events``, ``limits``           the rows that are sent; how fast it could be at best
- the rest: one module for each group of rows, each with ``measure(bench)``
"""

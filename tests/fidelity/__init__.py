"""Each kind of batch column against each kind of reference column, by each preset: a worker's values and Evidently's.

``columns`` makes the frames and the bodies that carry them, ``direct`` runs Evidently without us, ``ours`` reads what
a worker wrote, ``comparing`` compares metric by metric and test by test. The frames of the direct runs have the types
that a worker gives the columns; that those are right is proved in tests/evaluation. ``python -m tests.fidelity`` runs
all of it and prints what was compared.
"""

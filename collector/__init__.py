"""A collector of events from ML services that computes Evidently snapshots and loses nothing.

The map of the package, in the order in which rows go through it::

    client      CollectorClient and AsyncCollectorClient, for the services that send
    config      what the operator wants, as frozen values
    ingest      HTTP in: routes, bodies, answers
    store       what is on disk: the journal, parquet parts, references
    pipeline    one collector at work: wait for the trigger, seal, evaluate, deliver; its supervisor, its workers
    evaluation  in worker processes only: the one place that knows Evidently
    views       what the operator sees
    daemon      puts them together in one nursery; ``systemd`` is told of its turns, ``freed_memory`` is used again
    cli         ``evidently collector``; ``commands``, ``checking`` and ``demo`` are what its commands do
    plugin      adds the command to Evidently's own

Importing this package imports nothing else. Its public names are in ``collector.client`` and ``collector.config``.
"""

__version__ = "0.1.0"

"""A collector of events from ML services that computes Evidently snapshots and loses nothing.

The map of the package, in the order in which rows go through it::

    client       for the services that send: CollectorClient, AsyncCollectorClient and their buffers
    ingest       sources of events; ``ingest.http`` is HTTP: routes, bodies, answers
    formats      events as bytes and as tables: media types, how types merge
    store        what is on disk: the journal, parquet parts, references; ``disk`` is how a disk is written to
    pipeline     one collector at work: wait for the trigger, seal, spill, evaluate, deliver
    workers      worker processes; ``workers.exchange`` is all that the daemon and a worker say to each other
    evaluation   in worker processes only: the one place that knows Evidently
    workspaces   where snapshots go: a directory, an Evidently UI, Evidently Cloud
    status       what the service says about itself, and what it counts
    supervision  keeps the pipelines running that the config asks for; reloads it
    config       what the operator wants, as frozen values
    views        what the operator sees
    daemon       puts them together in one nursery
    cli          ``evidently collector``; ``commands`` is what its commands do
    host         the system that started us: systemd, memory; ``waiting`` has bells, pauses, clocks
    plugin       adds the command to Evidently's own

Importing this package imports nothing else. Its public names are in ``collector.client`` and ``collector.config``.
"""

__version__ = "0.1.0"

"""A collector of events from ML services that computes Evidently snapshots and loses nothing.

The map of the package. A line may import what stands below it, never what stands above; import contracts hold that::

    cli          ``evidently collector`` and its options
    daemon       puts all parts together in one nursery, starts and stops them in order
    commands     what the other commands do: check, init, send, backfill, logs, demo and the like
    ingest       events that are sent to us: ``intake`` takes their frames, ``http`` is the one way there is; ``kserve``
                 makes frames of what model servers log, and is loaded only if a collector takes that
    sources      events that we fetch: Kafka; beside ingest, and loaded only if the config has it
    views        what the operator sees: terminal, pages, log lines, metrics
    supervision  keeps the pipelines running that the config asks for; checks and reloads it
    pipeline     one collector at work: wait for the trigger, seal, spill, evaluate, deliver
    workspaces   where snapshots go: a directory, an Evidently UI, Evidently Cloud
    alerts       what changed is told to people and hooks; beside workspaces, and loaded only if a rule is configured
    status       what became of each batch, told once to whoever listens: logs, counts, status
    workers      worker processes; ``exchange`` is all that the daemon and a worker say to each other
    labels       what is known later: keys as numbers, matched and joined in a worker process; ``exchange`` as above
    store        what is on disk: the journal, parquet parts, references; ``repair`` is entered where it is damaged
    config       what the operator wants, as frozen values
    formats      events as bytes and as tables: media types, and how types merge
    disk         how files are written whole, and what a disk may do to us
    client       for the services that send: CollectorClient, AsyncCollectorClient and their buffers
    web          asking others over HTTP: bounds, proxies, trust
    host         the system that started us; ``waiting`` has bells, pauses and clocks

    evaluation   beside these, in worker processes only: the one place that knows Evidently
    plugin       adds the command to Evidently's own

What several rooms must say or decide alike is a module beside them: ``errors`` has each error that we raise,
``wording`` the words of messages; ``generation`` tells modern reports from legacy ones, ``computed_columns`` what
legacy JSON doesn't keep; ``conditions`` has Evidently's names of conditions, ``dashboard`` the panels of a collector;
``fault_points`` are where tests have the process die.

Where a new thing goes::

    a trigger                    config.triggers; sealing waits for whatever it says
    a media type                 formats.frames has the list, and a module of formats reads it
    a kind of workspace          a module of workspaces that keeps its protocol ``Workspace``
    another way to send events   a module of ingest beside http; it hands frames to ``Intake``, under a ``Bulkhead``
    another log to fetch from    sources; it keeps ``pipeline.source.Source``, and its positions with its frames
    an alert                     ``alerts.rules``, heard in transactions of the journal; what lasts: ``alerts.lasting``
    a second report of a batch   pipeline.evaluating makes its job; store.steps.batches keeps what became of it

Importing this package imports nothing else. Its public names are in ``collector.client`` and ``collector.config``.
"""

__version__ = "0.1.0"

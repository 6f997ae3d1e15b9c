"""What is on disk: the journal of frames and batches, parquet parts, references, and the lock on all of it."""

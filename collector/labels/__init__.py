"""Labels that come later, in a worker process: keys as numbers in files, looked for, and joined to their events."""

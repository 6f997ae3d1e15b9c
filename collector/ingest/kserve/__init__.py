"""What model servers log, KServe's and Seldon's: CloudEvents in, rows out; loaded once a collector takes them."""

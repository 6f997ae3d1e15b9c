"""Where snapshots go: a Workspace for each collector, of the kind that its ``api_url`` leads to."""

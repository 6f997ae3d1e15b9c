"""The child process's side: the one place that imports Evidently and pandas, reached by name through ``worker``."""

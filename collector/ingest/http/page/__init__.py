"""The page's routes: who may look, what a person may order, and the stream of what changes."""

"""The page: how the service stands, in a browser. Imported when the first one asks, and drawn while somebody looks."""

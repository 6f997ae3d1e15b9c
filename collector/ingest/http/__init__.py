"""HTTP in: routes, bodies, answers."""

"""HTTP in: bodies and their limits, what is accepted, and how every refusal is answered."""

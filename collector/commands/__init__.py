"""What the commands do; ``cli`` has their options, and imports each when it is run."""

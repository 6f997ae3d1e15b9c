"""What a disk may do to us, and how we write to it."""

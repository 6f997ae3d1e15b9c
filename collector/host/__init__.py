"""What the machine and the system that started us want."""

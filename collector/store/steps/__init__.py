"""What the journal does to its tables, a module for each noun: a function is one step of a transaction."""

"""Reading recordings of every kind, and writing bags."""

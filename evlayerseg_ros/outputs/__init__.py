"""What the node's topics hold, as plain data, and pictures of it."""

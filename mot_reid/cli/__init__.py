"""How a person calls it: one module per command."""

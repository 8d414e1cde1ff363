"""How a model or a tracker is scored, tuned and shown."""

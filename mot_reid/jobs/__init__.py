"""From one source to its tracks, its annotated video and its summary."""

"""What is done with one video."""

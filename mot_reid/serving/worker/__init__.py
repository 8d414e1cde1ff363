"""The processes that hold the models."""

"""Enrolled people."""

"""Uploads that the server works on."""

"""The page to try it."""

"""Which boxes are the same person?"""

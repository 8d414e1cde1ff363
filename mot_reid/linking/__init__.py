"""Which tracklets, of all cameras, are of one person?"""

"""How is a Re-ID model made?"""

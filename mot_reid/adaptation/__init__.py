"""How does a model fit the videos that it is used on, without labels?"""

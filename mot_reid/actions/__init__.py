"""What is a track doing?"""

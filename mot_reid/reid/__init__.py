"""What is a Re-ID model?"""

"""What do the tracks look like once the whole video is known?"""

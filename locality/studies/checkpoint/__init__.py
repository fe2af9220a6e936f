"""Does a network do on images what was said of it?"""

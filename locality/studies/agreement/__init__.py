"""Do different models see alike?"""

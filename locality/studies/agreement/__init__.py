"""Do different models have similar fields?"""

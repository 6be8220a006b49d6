"""The model that a searcher thinks with: what loss is to be expected, and how surely.

It needs numpy and scipy, which take a while to load: only who makes a searcher with it imports it.
"""

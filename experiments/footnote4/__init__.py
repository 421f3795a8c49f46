"""Footnote 4 of the post: does partial gaming last?"""

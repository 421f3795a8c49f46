"""Footnote 3 of the post: does a penalty remove visible gaming, or teach it to hide?"""

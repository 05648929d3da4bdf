"""The pages of the window's middle: what a person does, one step after the other.

A page emits requests as signals and shows what it is given; `refresh(link)` is called
by the window's timer while the page can be seen.
"""

"""Random workflow definitions: how they are drawn and written down, what they must give, and faulty workers for them.

Written from `docs/language.md` alone: nothing here calls the engine's own decisions or its expressions, so that the
two can be held against each other.
"""

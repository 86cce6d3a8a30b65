"""A model of what the engine's statements do to runs, and the moves of workers, the clock and people that try it.

`ledger` says what has to be, from the definitions and what has happened alone; it reads no table. `outcomes` and
`people` write into it what a move comes to. `tables` holds the database against it after each move of the `machine`.
"""

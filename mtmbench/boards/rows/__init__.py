"""The rows of ``board.json``: what makes them and what shows them agree on these fields.

The face is :class:`mtmbench.boards.rows.board.BoardTables`. What cannot be had is None with a
``reason`` beside it. Fields come in the order of their types.
"""

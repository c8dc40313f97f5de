"""Records become tables and pages, and two boards are compared.

The face is :func:`mtmbench.boards.write.write_board`: ``board.json`` from suite and records alone
(:mod:`tables`), the other files from that (:mod:`view`, ``render_*``). :mod:`markdown`,
:mod:`html`, :mod:`plot` and :mod:`numbers` serve every page of the project.
"""

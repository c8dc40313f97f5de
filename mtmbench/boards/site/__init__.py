"""The site of a board: ``index.html``, and what it loads when asked for.

The face is :func:`mtmbench.boards.site.page.site_files`. The page is readable without scripts; its
own script sorts, filters and shows what lies in the parts (:mod:`~mtmbench.boards.site.parts`).
"""

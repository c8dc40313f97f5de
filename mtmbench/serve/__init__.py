"""A local page on which people judge matches (``mtmbench serve``)."""

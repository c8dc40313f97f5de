"""Characters that ``str.splitlines`` takes for line ends and no file of records does."""

ODD_TEXT = "one\u2028two\u2029three\x85four\x1cfive"

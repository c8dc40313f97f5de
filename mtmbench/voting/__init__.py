"""The page on which people vote: :mod:`ballot` says on what, :mod:`server` serves it."""

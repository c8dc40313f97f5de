"""An example plugin of mtmbench: installed beside it, and found by its entry points."""

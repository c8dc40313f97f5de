"""The judge clients that come with mtmbench."""

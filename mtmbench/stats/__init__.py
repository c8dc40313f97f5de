"""Pure numbers: Bradley-Terry ratings, bootstrap, intervals, agreement, paired tests."""

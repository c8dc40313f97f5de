"""Questions to judges, their answers, and the matches made of them."""

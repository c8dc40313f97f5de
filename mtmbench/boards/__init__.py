"""Records become tables and pages; boards are compared."""

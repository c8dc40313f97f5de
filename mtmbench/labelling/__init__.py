"""Names for features and topics."""

"""Studies: open questions about SAE features, each one resumable command over the harness."""

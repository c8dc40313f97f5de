"""SAE features: backbones and hook points, SAEs, activation stores, thresholds, contexts."""

"""The real benchmark: one camera's people against what three other calibrated cameras make of them."""

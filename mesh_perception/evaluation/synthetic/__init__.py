"""`mesh-perception evaluate synthetic`: the pipeline on rendered scenes whose truth is known."""

"""Which part of the objective brings what: variants of the small recipe, trained alike, measured alike."""

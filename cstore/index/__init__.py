"""images.json and layers.json as bytes: finding records, splicing them in and out, and JSON as Go writes it."""

"""Values and records of the formats, without any I/O."""

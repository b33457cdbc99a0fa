"""Publishers: they carry deltas into stores."""

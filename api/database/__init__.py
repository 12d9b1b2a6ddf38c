"""Jobs, tiles, events, areas, keys: SQLite or PostGIS behind one protocol."""

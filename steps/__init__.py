"""All that runs in a pod; the only place that knows rasters."""

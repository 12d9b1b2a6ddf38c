"""TiTiler over a store: the process that knows rasters so that the API need not."""

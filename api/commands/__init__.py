"""Commands of `geocrop` that need the API."""

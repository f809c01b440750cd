"""The far end of line tests: a small process at a site. Only the standard library and `probes._wire`, for it travels alone."""

"""How good results are: feature extractors apart from metrics, one file a metric."""

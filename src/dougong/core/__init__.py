"""The foundation: errors, names, dtypes, symbols and the layer contract."""

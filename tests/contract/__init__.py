"""One contract that every layer, loss, metric, optimizer, initializer, regularizer, constraint and activation keeps."""

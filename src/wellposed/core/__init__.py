"""What every floor stands on: errors, names, shapes, trees of tensors, randomness, the autograd bridge, parameters."""

"""From files to scores: a model on a data set, a tracker on sequences, and the knobs it should have had."""

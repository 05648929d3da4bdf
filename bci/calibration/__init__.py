"""From labelled recordings to a decoder: windows, training, and a worker process for it."""

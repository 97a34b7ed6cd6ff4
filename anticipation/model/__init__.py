"""Both families of models: the interleaved stream, what may follow in it, the networks, and the drawing of events."""

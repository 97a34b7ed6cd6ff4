"""The live co-pilot: ears, mind and hands around `anticipation`, and the page and the DAW scripts that steer them."""

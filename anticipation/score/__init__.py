"""Files of music: MIDI in and out without loss, piano rolls, sound. The only package that knows ticks."""

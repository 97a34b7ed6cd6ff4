"""Files of music: MIDI in and out without loss, piano rolls, sound."""

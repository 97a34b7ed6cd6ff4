"""Music by the thousand: folders and archives as shards, shards as training windows, fine-tuning, copies found."""

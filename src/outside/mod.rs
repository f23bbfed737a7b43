//! Doors: all that can fail for reasons not ours.

//! What the commands `disk info` and `disk check` say, as text and as data.

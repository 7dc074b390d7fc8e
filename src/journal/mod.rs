//! The write-ahead journal of everything a run creates, and the sweep that
//! deletes it.

pub mod permit;

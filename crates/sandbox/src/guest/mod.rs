//! The machine behind a sandbox instance: a real SSH server whose commands
//! really run, confined so that nothing on the host changes.

//! Spreading a template over the jobs of a CI system, and joining what they
//! made.
//!
//! ```text
//! plans ──► legs ──► matrix ──► one job each, `build --output-file=LEG.json`
//!             │                                   │
//!             └── expected ──► joined ◄── results, manifests
//! ```
//!
//! The scheduler of the CI system is what distributes: here are only data and
//! rules, no file and no network. How a system wants its matrix written is
//! `report`'s to know.

pub mod join;
pub mod legs;
pub mod results;

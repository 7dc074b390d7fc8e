//! What happens to an artifact after its build.

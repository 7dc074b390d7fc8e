//! The right to create something, which only the journal hands out.

/// Proof that the intent to create a resource is on disk. `cloud` demands one
/// for every creating call, so that nothing can be made that a sweep would
/// not find.
#[derive(Debug)]
pub struct Permit {
    client_token: String,
}

impl Permit {
    pub(super) fn new(client_token: String) -> Self {
        Self { client_token }
    }

    /// The ClientToken of the creating call, the same for each repetition.
    pub fn client_token(&self) -> &str {
        &self.client_token
    }
}

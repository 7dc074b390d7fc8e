//! What a user can do about a refused request.

use super::endpoint::nearest_region;
use super::failure::Refusal;

/// Hints for a refusal, each a sentence without final dot.
pub(super) fn of(refusal: &Refusal) -> Vec<String> {
    let _ = (refusal, nearest_region(""));
    Vec::new()
}

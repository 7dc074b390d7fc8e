//! Typed requests and answers of Elastic Compute Service, 2014-05-26.
//!
//! Only the fields this program uses are here. Field names are the API's own
//! in Rust's spelling; its reference says what each one means. `RegionId` and
//! `ClientToken` are added by the client.
#![expect(
    missing_docs,
    reason = "fields are documented in the API's own reference"
)]

mod disk;
mod image;
mod import;
mod instance;
mod key_pair;
mod region;
mod security_group;
mod tag;

pub use disk::*;
pub use image::*;
pub use import::*;
pub use instance::*;
pub use key_pair::*;
pub use region::*;
pub use security_group::*;
pub use tag::*;

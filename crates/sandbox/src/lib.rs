//! A simulated Alibaba Cloud: ECS, VPC, STS and the machines inside, for
//! testing image builds without an account.
//!
//! It shares no type with the product on purpose: a wire bug in one must not
//! be hidden by the same bug in the other.

pub mod guest;

//! Packer's HCL2 templates.

mod value;

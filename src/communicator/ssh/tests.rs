//! The communicator against a server in this process.

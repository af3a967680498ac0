//! Every integration test, in one binary: what a user sees, at a real boundary.

mod mcp_protocol;
mod support;

//! Airlock: runs the TypeScript of AI agents against their tools, in an isolated V8, and keeps a
//! durable record.
//!
//! The library exists for the binary, the tests and the benches; only the command line, the
//! protocols and the configuration are promised to the outside. Dependencies point down only: `main
//! → cli → app → transport → service → task → artifacts →` the islands `sandbox`, `policy`,
//! `catalog`, `store`, none of which knows another `→ model`, `base`.

pub mod app;
pub mod artifacts;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod demo_upstream;
pub mod model;
pub mod policy;
pub mod sandbox;
pub mod service;
pub mod store;
pub mod task;
pub mod transport;

//! A policy file of any bytes: it loads or says why not, and what loads decides.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock::policy::fuzz::file(bytes));

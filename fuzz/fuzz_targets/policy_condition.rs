//! A condition and arguments of any bytes: there is an answer, and its account agrees.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airlock::policy::fuzz::condition(bytes));

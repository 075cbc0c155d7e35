#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| locald_fuzz::call("message", bytes));

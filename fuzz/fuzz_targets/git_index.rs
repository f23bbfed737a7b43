#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lath_fuzz::git_index(bytes));

//! Makes hostile and honest wheels.

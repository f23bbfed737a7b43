//! Runs lath like its users, against a PyPI and a Debian archive on loopback.

mod build;
mod compare;
mod destinations;
mod dockerfile;
mod inputs;
mod interrupt;
mod limits;
mod locks;
mod mirrors;
mod platforms;
mod refusals;
mod same;
mod secrets;
mod store;
mod variables;
mod world;

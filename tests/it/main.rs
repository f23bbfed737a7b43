//! Runs lath like its users, against a PyPI and a Debian archive on loopback.

mod applications;
mod build;
mod compare;
mod configuration;
mod destinations;
mod dockerfile;
mod indexes;
mod init;
mod inputs;
mod interrupt;
mod layers;
mod limits;
mod locks;
mod mirrors;
mod platforms;
mod projects;
mod refusals;
mod requires_python;
mod same;
mod secrets;
mod store;
mod variables;
mod world;

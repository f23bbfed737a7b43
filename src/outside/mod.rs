//! Doors: everything that can fail for reasons outside lath.

pub(crate) mod app_files;
pub(crate) mod archive;
pub(crate) mod clock;
pub(crate) mod config_files;
pub(crate) mod credentials;
pub(crate) mod daemon;
pub(crate) mod deadline;
pub(crate) mod facts;
pub(crate) mod http;
pub(crate) mod images;
pub(crate) mod program;
pub(crate) mod pypi;
pub(crate) mod python_files;
pub(crate) mod registry;
pub(crate) mod sandbox;
pub(crate) mod script;
pub(crate) mod similar;
pub(crate) mod stage;
pub(crate) mod staging;
pub(crate) mod store;
pub(crate) mod threads;
pub(crate) mod trace_file;
pub(crate) mod unfinished;
pub(crate) mod vendor;
pub(crate) mod world;

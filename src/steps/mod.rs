//! The steps of a build. Each step is a function with values as input and output.

pub(crate) mod assemble;
pub(crate) mod base;
pub(crate) mod compile;
pub(crate) mod emit;
pub(crate) mod explain;
pub(crate) mod fetch;
pub(crate) mod launch;
pub(crate) mod lock;
pub(crate) mod on_base;
pub(crate) mod pack;
pub(crate) mod prove;
pub(crate) mod resolve;
pub(crate) mod seal;
pub(crate) mod trim;
pub(crate) mod unpack;
pub(crate) mod wheel;

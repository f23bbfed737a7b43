//! The steps of a build, each a verb: values in, values out.

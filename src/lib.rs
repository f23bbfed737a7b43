//! lath makes the smallest container image in which a Python program still does its whole job.
mod model;

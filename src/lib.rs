//! lath makes the smallest container image in which a Python program still does its whole job.

#![expect(dead_code, reason = "the model is laid before the steps that use it")]

mod formats;
mod model;
mod outside;
mod pipeline;
mod steps;

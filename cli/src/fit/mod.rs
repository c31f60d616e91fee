//! The input of `fit`, and the presentation of its results.

pub mod show;
pub mod source;
pub mod table;

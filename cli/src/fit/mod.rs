//! What `fit` learns from, and how it shows what it has learnt.

pub mod show;
pub mod source;
pub mod table;

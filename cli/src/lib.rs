//! Tributary's command line, as a library: what the commands are made of, and the seeded histories that tests feed.

pub mod generate;

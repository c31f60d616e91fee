//! Models that learn from paths: fitting parameters, and the weights of a journey's channels under them.
//!
//! ```
//! use tributary_learn::fit::{Options, fit};
//! use tributary_learn::parameters::{About, ModelKind};
//! use tributary_learn::paths::{Outcomes, Paths};
//!
//! let mut paths = Paths::default();
//! let [a, b] = [paths.label("email")?, paths.label("search")?];
//! paths.add(&[a], Outcomes { converting: 2, null: 8 });
//! paths.add(&[b], Outcomes { converting: 1, null: 9 });
//! paths.add(&[a, b], Outcomes { converting: 4, null: 6 });
//! let options = Options { models: vec![ModelKind::Markov { order: 1 }], ..Options::default() };
//! let sets = fit(&paths.counted(), &About::default(), &options, &|_| {})?;
//! assert_eq!(sets[0].channels[0].share_nano, 473_684_211);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`paths`]: journeys to be learnt from, counted by distinct path; counts of parts add up to those of the whole;
//! - [`fit`](mod@fit): from paths to [`parameters`], each a whole number of billionths, with shares, intervals and warnings;
//! - [`weigher`]: from a parameter set and the channels of a journey to weights, in integers.
//!
//! The same paths, options and seed give the same bytes: in any order, with any number of threads, on any machine. What is added up in
//! floating point is added in a fixed order; transcendental functions come from `libm`; random numbers from a seeded generator, a stream
//! of its own for every bag and resample. Nothing here uses a file, a clock or a log; only `parallel` starts threads.

pub mod fit;
pub mod parameters;
pub mod paths;
pub mod weigher;

mod hash;
mod models;
mod parallel;
mod random;
mod sets;
mod warnings;

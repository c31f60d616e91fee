//! Configuration: built-in defaults < TOML files < environment < flags, with every problem reported at once.
//!
//! The defaults are a value of the settings' own type; from them the loader knows which keys exist and of what kind they are.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tributary_proto::kind::Kinds;
//! use tributary_runtime::config::{Given, Problems, Section, Settings, Shapes, Sources, load};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! #[serde(default)]
//! struct Example { http: Http }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! #[serde(default)]
//! struct Http { listen: String }
//!
//! impl Section for Http {
//!     const NAME: &'static str = "http";
//!     type Compiled = ();
//!     fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
//!         problems.unless(self.listen.contains(':'), "listen", "expected `address:port`");
//!         Some(())
//!     }
//! }
//!
//! impl Settings for Example {
//!     fn shapes() -> Shapes { Shapes::default().with::<Http>() }
//!     fn check(&self, problems: &mut Problems) {
//!         self.http.compile_in(&Given::new(&Kinds::default()), problems);
//!     }
//! }
//!
//! let sources = Sources { flags: vec!["http.listen=127.0.0.1:9464".into()], ..Sources::default() };
//! assert_eq!(load::<Example>(&sources).unwrap().http.listen, "127.0.0.1:9464");
//!
//! let wrong = Sources { flags: vec!["http.lisen=1".into(), "http.listen=x".into()], ..Sources::default() };
//! assert_eq!(load::<Example>(&wrong).err().unwrap().0.len(), 2);
//! ```

mod account_level;
pub mod admin;
mod formats;
mod interpolate;
pub mod kafka;
pub mod kinds;
mod layers;
pub mod memory;
mod origin;
mod reading;
mod registry;
mod secret;
mod section;
pub mod settings;
mod shape;
pub mod traces;
mod value;
mod values;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use layers::Layers;

pub use account_level::AccountLevel;
pub use layers::Sources;
pub use origin::{ConfigError, ConfigErrors, Origin};
pub use secret::Secret;
pub use section::{Given, OpenMap, Problems, Section, Shape};
pub use shape::Shapes;
pub use values::Values;

/// A type for settings. Its default value is the first layer.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tributary_runtime::config::{Problems, Settings, Shapes, keys};
///
/// #[derive(Default, Serialize, Deserialize)]
/// #[serde(default)]
/// struct Example { state_path: String, partitions: u32 }
///
/// impl Settings for Example {
///     fn shapes() -> Shapes { Shapes::default() }
///     fn check(&self, problems: &mut Problems) {
///         problems.unless(self.partitions > 0, "partitions", "expected at least 1");
///     }
/// }
///
/// assert_eq!(keys::<Example>().len(), 2);
/// ```
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// The shape of the keys, as far as the defaults do not show it.
    fn shapes() -> Shapes;

    /// Reports values of the right type that cannot be used.
    fn check(&self, problems: &mut Problems);
}

/// The defaults as a tree, which names every key.
pub fn defaults<T: Settings>() -> Value {
    serde_json::to_value(T::default()).unwrap_or_default()
}

/// Every key, dotted.
pub fn keys<T: Settings>() -> Vec<String> {
    shape::keys(&defaults::<T>())
}

/// Settings, with the values of all keys that they were made from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// The values.
    pub values: Values,
}

/// The value of one key, even if other keys have errors; `None` if no layer has a usable value.
pub fn peek<T: Settings, V: DeserializeOwned>(sources: &Sources, key: &str) -> Option<V> {
    let (shapes, defaults) = (T::shapes(), defaults::<T>());
    let layers = Layers::read(&shapes, &defaults, sources);
    let (value, _) = layers.overrides.get(&shapes.split(key))?;
    reading::read(value.clone()).ok()
}

/// Loads settings from all layers.
///
/// # Errors
/// See [`load_with_values`].
pub fn load<T: Settings>(sources: &Sources) -> Result<T, ConfigErrors> {
    load_with_values(sources).map(|loaded| loaded.settings)
}

/// Loads settings from all layers, with their values for later comparison.
///
/// # Errors
/// All errors of all layers, each with its origin: files that cannot be read or parsed, unknown keys, values of the wrong kind, references
/// that do not resolve, and the errors of [`Settings::check`].
pub fn load_with_values<T: Settings>(sources: &Sources) -> Result<Loaded<T>, ConfigErrors> {
    let (shapes, defaults) = (T::shapes(), defaults::<T>());
    let Layers { overrides, mut errors, .. } = Layers::read(&shapes, &defaults, sources);
    let usable = try_alone::<T>(&shapes, &defaults, &overrides, &mut errors);
    let mut merged = defaults;
    for (path, (value, _)) in &usable {
        value::set(&mut merged, path, (*value).clone());
    }
    let values = Values::new(merged.clone());
    let settings = match reading::read::<T>(merged) {
        Ok(settings) => settings,
        Err(error) => {
            errors.push(ConfigError { origin: Origin::Settings, key: error.key(), problem: error.problem });
            return Err(ConfigErrors(errors));
        }
    };
    let mut problems = Problems::default();
    settings.check(&mut problems);
    for (key, problem) in problems.0 {
        // A list has one origin: that of `models[3].name` is that of `models`.
        let origin = origin_of(&shapes.split(key.split('[').next().unwrap_or(&key)), &overrides);
        errors.push(ConfigError { origin, key, problem });
    }
    if errors.is_empty() { Ok(Loaded { settings, values }) } else { Err(ConfigErrors(errors)) }
}

type Overrides = BTreeMap<Vec<String>, (Value, Origin)>;
type Override<'a> = (&'a [String], &'a (Value, Origin));

/// Tries every override alone over the defaults, so that each error is found and has its own origin. Keys inside an entry of an open table
/// are tried together. Returns the usable ones.
fn try_alone<'a, T: Settings>(
    shapes: &Shapes,
    defaults: &Value,
    overrides: &'a Overrides,
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<&'a [String], &'a (Value, Origin)> {
    let mut units: BTreeMap<&[String], Vec<Override<'_>>> = BTreeMap::new();
    for (path, value) in overrides {
        let unit = path.get(..shapes.unit_length(path)).unwrap_or(path);
        units.entry(unit).or_default().push((path, value));
    }
    let mut usable = BTreeMap::new();
    for (unit, members) in units {
        let mut alone = defaults.clone();
        for (path, (value, _)) in &members {
            value::set(&mut alone, path, value.clone());
        }
        match (reading::read::<T>(alone), members.first()) {
            (Err(error), Some((_, (_, first)))) => {
                let (unit, inner) = (unit.join("."), error.key());
                let key = if inner.starts_with(&unit) { inner } else { unit };
                // An error inside an entry has the origin of that value.
                let origin = members.iter().find(|(path, _)| key.starts_with(&path.join("."))).map_or(first, |(_, (_, at))| at);
                errors.push(ConfigError { origin: origin.clone(), key, problem: error.problem });
            }
            _ => usable.extend(members),
        }
    }
    usable
}

/// The origin of the override at, below or above `path`.
fn origin_of(path: &[String], overrides: &Overrides) -> Origin {
    let near = |(at, _): &(&Vec<String>, &(Value, Origin))| at.starts_with(path) || path.starts_with(at);
    overrides.iter().find(near).map_or(Origin::Settings, |(_, (_, origin))| origin.clone())
}

#[cfg(test)]
mod tests;

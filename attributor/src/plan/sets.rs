//! The parameter sets that the settings name.

use std::collections::BTreeMap;

use tributary_learn::parameters::ParameterSet;
use tributary_runtime::config::{Given, Problems};

use crate::models::Learnt;
use crate::settings::{ModelSettings, Settings};

/// The parameter sets by their names in the settings, each with its digest. `None` for one that cannot be used: the problems have the
/// reason.
pub(super) struct Sets(BTreeMap<String, Option<(ParameterSet, String)>>);

impl Sets {
    /// Reads the files.
    pub fn read(settings: &Settings, given: &Given<'_>, problems: &mut Problems) -> Self {
        let mut read = |name: &str, file: &str| {
            let set = (given.read)(file).map_err(|error| error.to_string());
            let set = set.and_then(|text| ParameterSet::parse(&text).map_err(|error| error.to_string()));
            let found = set.and_then(|set| {
                let digest = set.digest().map_err(|error| error.to_string())?;
                Ok((set, digest))
            });
            found.map_err(|why| problems.at(format!("parameters.{name}"), format!("the file cannot be used: {why}"))).ok()
        };
        Self(settings.parameters.iter().map(|(name, file)| (name.clone(), read(name, file))).collect())
    }

    /// The rule of a model that learns, with the set that it names.
    pub fn of(&self, field: &str, model: &ModelSettings, problems: &mut Problems) -> Option<Learnt> {
        let field = format!("{field}.parameters");
        let Some(name) = &model.parameters else {
            problems.at(
                field,
                format!("a model of type {} needs a parameter set: the name of one in attribution.parameters", model.rule),
            );
            return None;
        };
        if !problems.known(&field, name, self.0.keys().map(String::as_str)) {
            return None;
        }
        let (set, digest) = self.0.get(name)?.as_ref()?;
        if set.kind().name() != model.rule {
            problems.at(field, format!("{name:?} is a set of {}, not of {}", set.kind().name(), model.rule));
            return None;
        }
        Some(Learnt::new(set, digest))
    }
}

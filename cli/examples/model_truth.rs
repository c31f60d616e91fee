//! How far each model is from the truth, where the truth is known: histories of `generate --effects`, through the whole pipeline, with the
//! ten models of the default configuration and the six that learn, each with what it learnt from the same history.
//!
//! `cargo run --release -p tributary --example model_truth -- [SEEDS] [PEOPLE]` prints a table: the mean distance over the seeds, the least
//! and the most in brackets.

#![allow(clippy::print_stdout, reason = "its result")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tributary_attributor::read::paths::Wanted;
use tributary_attributor::settings::{Label, ModelSettings};
use tributary_cli::generate::effects::{Effects, Planted, TARGET, invent};
use tributary_cli::progress::Progress;
use tributary_cli::quality::models::{Comparison, Credit};
use tributary_learn::fit::{Options, fit};
use tributary_learn::parameters::{ModelKind, ParameterSet};
use tributary_pipeline::paths::collect;
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::units::units;
use tributary_runtime::topic::Topic;

/// After the end of every history, and so long that whoever has not converted does not any more: 2030-01-01.
const END_MS: i64 = 1_893_456_000_000;

fn replayed(records: &[Vec<u8>], settings: &Settings) -> anyhow::Result<Replay> {
    let mut replay = Replay::new(settings, 1)?;
    for record in records {
        replay.append(Topic::Offline, END_MS, record);
        replay.advance()?;
    }
    replay.run()?;
    Ok(replay)
}

/// What the models learn from a history.
fn learnt(records: &[Vec<u8>], seed: u64) -> anyhow::Result<Vec<ParameterSet>> {
    let settings = Settings::default();
    let mut replay = replayed(records, &settings)?;
    let units = units(replay.snapshot())?;
    let pipeline = Pipeline::compile(&settings)?;
    let wanted = Wanted { target: TARGET.to_owned(), label: Label::Channel, until_ms: END_MS };
    let training = collect(replay.snapshot(), &units, pipeline.plan(), &wanted, 0, &mut || {})?;
    let models = ModelKind::all(1).into_iter().chain([ModelKind::Markov { order: 2 }]).collect();
    let options = Options { models, seed, threads: 1, ..Options::default() };
    Ok(fit(&training.paths.counted(), &training.about, &options, &|_| {})?)
}

/// The distance of every model in one history.
fn study(effects: Effects, seed: u64, people: u64, folder: &Path) -> anyhow::Result<Vec<(String, f64)>> {
    let mut records = Vec::new();
    let planted: Planted = invent(effects, people, seed, &mut |record| -> anyhow::Result<()> {
        records.push(serde_json::to_vec(record)?);
        Ok(())
    })?;
    let mut settings = Settings::default();
    for set in learnt(&records, seed)? {
        let rule = set.kind().name();
        let name = if set.kind() == (ModelKind::Markov { order: 2 }) { "markov_2" } else { rule };
        let mut model = ModelSettings { name: name.to_owned(), rule: rule.to_owned(), ..ModelSettings::default() };
        if set.kind() != ModelKind::Shapley {
            let file = folder.join(format!("{name}.json"));
            fs::write(&file, set.text()?)?;
            settings.attribution.parameters.insert(name.to_owned(), file.display().to_string());
            model.parameters = Some(name.to_owned());
        }
        settings.attribution.models.push(model);
    }
    let results = replayed(&records, &settings)?.finish()?;
    let mut comparison = Comparison::new(&planted);
    for row in results.credits.rows() {
        let [milestone_id, model, touch_id, channel] =
            [row.milestone_id, row.model, row.touch_id, row.channel].map(str::to_owned);
        comparison.add(Credit { milestone_id, model, touch_id, channel, weight_nano: row.weight_nano });
    }
    Ok(comparison.distances(0, 0).into_iter().map(|found| (found.model, found.distance)).collect())
}

fn main() -> anyhow::Result<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (seeds, people) = match numbers.as_slice() {
        [] => (20, 20_000),
        [seeds] => (*seeds, 20_000),
        [seeds, people] => (*seeds, *people),
        _ => anyhow::bail!("usage: model_truth [SEEDS] [PEOPLE]"),
    };
    let folder = tempfile::tempdir()?;
    let mut progress = Progress::new("histories", Some(seeds * Effects::ALL.len() as u64));
    let mut table: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for (at, effects) in Effects::ALL.into_iter().enumerate() {
        for seed in 0..seeds {
            for (model, distance) in study(effects, seed, people, folder.path())? {
                let columns = table.entry(model).or_insert_with(|| vec![Vec::new(); Effects::ALL.len()]);
                columns.get_mut(at).into_iter().for_each(|column| column.push(distance));
            }
            progress.add(1);
        }
    }
    progress.finish();
    let heads = Effects::ALL.map(|effects| format!("{effects:?}").to_lowercase());
    println!("| model | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for (model, columns) in &table {
        let cells: Vec<String> = columns.iter().map(|all| cell(all)).collect();
        println!("| {model} | {} |", cells.join(" | "));
    }
    Ok(())
}

fn cell(all: &[f64]) -> String {
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    format!("{mean:.2} ({least:.2} to {most:.2})")
}

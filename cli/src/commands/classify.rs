//! `tributary classify`: the channel of a landing URL and a referrer, with the reason.

use clap::Args;
use tributary_ingest::channel::Listing;
use tributary_ingest::{Classified, Decoder};

use crate::global::Global;
use crate::outcome::Usage;
use crate::stdout::outln;
use crate::table;

const AFTER_HELP: &str = "\
Shows the campaign parameters and click ids in the URL, the source and medium that follow from them and the referrer, and the rule that
gives the channel: the same as ingest does with a landing hit without further fields.

With --list: all rules, click ids and sites, built-in and your own, in order of precedence.

Example:
  tributary classify --list
  tributary classify 'https://www.a-corp.example/?utm_source=baidu&bd_vid=81' https://www.baidu.com/";

/// The arguments of `classify`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ClassifyArgs {
    /// The landing page's URL
    #[arg(required_unless_present = "list", default_value_if("list", "true", ""))]
    url: String,
    /// The page that led to it
    #[arg(default_value = "")]
    referrer: String,
    /// List all channel rules, sites and click ids
    #[arg(long, conflicts_with_all = ["url", "referrer"])]
    list: bool,
}

/// Runs `classify`.
///
/// # Errors
/// When the configuration is invalid, or the URL exceeds a limit.
pub fn run(args: &ClassifyArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    let decoder = Decoder::new(&settings.ingest, &settings.kinds.kinds())?;
    if args.list {
        return list(&decoder.channels(), global.json);
    }
    let found = decoder
        .classify(&args.url, &args.referrer)
        .map_err(|rejection| Usage(format!("{}: {}: {}", rejection.field, rejection.reason, rejection.detail)))?;
    if global.json {
        return Ok(table::print_json(&found)?);
    }
    print(&found)
}

fn list(known: &Listing, json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(table::print_json(known)?);
    }
    let mut rules = table::table(&["channel", "asks for", "rule"]);
    for rule in &known.rules {
        rules.add_row([&rule.channel, &rule.conditions, &rule.place]);
    }
    table::print(&rules)?;
    let mut ids = table::table(&["click id", "source", "medium"]);
    for id in &known.click_ids {
        ids.add_row([&id.parameter, &id.source, &id.medium]);
    }
    table::print(&ids)?;
    let mut sites = table::table(&["category", "site", "domains", "aliases"]);
    for site in &known.sites {
        sites.add_row([&site.category, &site.name, &site.domains.join(", "), &site.aliases.join(", ")]);
    }
    Ok(table::print(&sites)?)
}

fn print(found: &Classified) -> anyhow::Result<()> {
    if !found.parameters.is_empty() {
        let mut rows = table::table(&["parameter", "value", "tells"]);
        for parameter in &found.parameters {
            rows.add_row([&parameter.name, &parameter.value, &parameter.tells]);
        }
        table::print(&rows)?;
    }
    let from = if found.source_from.is_empty() { String::new() } else { format!("  (from the {})", found.source_from) };
    let fields = [
        ("source", format!("{}{from}", found.source)),
        ("medium", found.medium.clone()),
        ("campaign", found.campaign.clone()),
        ("content", found.content.clone()),
        ("term", found.term.clone()),
        ("channel", found.channel.clone()),
    ];
    for (name, value) in fields.iter().filter(|(name, value)| !value.is_empty() || *name == "source") {
        outln!("{name:9} {value}")?;
    }
    match found.rule.as_str() {
        "" => outln!("{:9} none matches", "rule")?,
        rule => outln!("{:9} {rule}: {}", "rule", found.conditions)?,
    }
    Ok(())
}

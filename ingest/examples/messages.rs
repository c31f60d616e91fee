//! What becomes of SDK messages: one a line on standard input; counts of what is used and of what is refused or left out, and why.
//!
//! `scripts/rudder_messages FOLDER` feeds it the examples of RudderStack's transformer.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use tributary_ingest::{Decoded, Decoder, Settings};
use tributary_proto::Source;
use tributary_proto::kind::Kinds;

/// 2030-01-01: after all examples.
const RECEIVED_MS: i64 = 1_893_456_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let decoder = Decoder::new(&Settings::default(), &Kinds::default())?;
    let (mut messages, mut used, mut bots, mut no_event) = (0u64, 0u64, 0u64, 0u64);
    let (mut refused, mut left_out) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        messages += 1;
        let mut decoded = Decoded::default();
        if let Err(why) = decoder.decode(Source::Sdk, &line, Some(RECEIVED_MS), &mut decoded) {
            *refused.entry(format!("{} at `{}`: {}", why.reason, why.field, why.detail)).or_default() += 1;
            continue;
        }
        used += u64::from(!decoded.events.is_empty());
        bots += decoded.bots;
        no_event += decoded.without_event;
        for field in decoded.ignored.iter() {
            *left_out.entry(format!("{} at `{}`", field.why.reason, field.why.field)).or_default() += field.count;
        }
    }
    println!(
        "{messages} messages: {used} used, {no_event} that say nothing of interest, {bots} of bots, {} refused",
        refused.values().sum::<u64>()
    );
    for (what, counts) in [("refused", refused), ("left out", left_out)] {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(why, count)| (std::cmp::Reverse(*count), why.clone()));
        counts.iter().for_each(|(why, count)| println!("{what:<9} {count:>6}  {why}"));
    }
    Ok(())
}

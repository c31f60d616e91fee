//! What an event costs where profiles have ten times the touches, and where there are ten times the profiles.
//!
//! `cargo run --release -p tributary --example scale`: the whole pipeline with its state in memory, over touches of people who are known
//! by a cookie and now and then by their address; no milestones. Of each run the last five touches of everybody are measured, over the
//! state that the others have left. A round runs all three one after the other; the ratios are those of a round, so that a machine that
//! is slower for a while is so for both. Prints the rounds as they come, and last a line of JSON: the median of each.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its result")]

use std::time::Instant;

use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

const PEOPLE: u64 = 5_000;
const TOUCHES: u64 = 10;
/// Events that the stages run over at a time.
const PART: u64 = 5_000;
/// The last events that are measured, for every person.
const MEASURED: u64 = 5;
const ROUNDS: usize = 7;
/// 2024-01-01, and after the last event of any run.
const START_MS: i64 = 1_704_067_200_000;
const RECEIVED_MS: i64 = 1_893_456_000_000;
/// Between two touches of a person.
const DAY_MS: u64 = 86_400_000;

fn main() -> anyhow::Result<()> {
    let mut rounds: [Vec<u128>; 3] = Default::default();
    for round in 1..=ROUNDS {
        let one = nanos_an_event(PEOPLE, TOUCHES)?;
        let percent = |cost: u128| cost * 100 / one.max(1);
        let touches = percent(nanos_an_event(PEOPLE, TOUCHES * 10)?);
        let people = percent(nanos_an_event(PEOPLE * 10, TOUCHES)?);
        eprintln!("round {round} of {ROUNDS}: {one} ns an event; at 10 x touches {touches} %, at 10 x people {people} %");
        for (all, one) in rounds.iter_mut().zip([one, touches, people]) {
            all.push(one);
        }
    }
    let [one, touches, people] = rounds.map(median);
    println!("{{\"nanos\":{one},\"percent_at_10x_touches\":{touches},\"percent_at_10x_people\":{people}}}");
    Ok(())
}

fn median(mut all: Vec<u128>) -> u128 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// What the last events cost on average.
fn nanos_an_event(people: u64, touches: u64) -> anyhow::Result<u128> {
    let mut replay =
        Replay::new(&Settings::default(), 1).map_err(|problems| anyhow::anyhow!("the settings are refused: {problems:?}"))?;
    let (events, measured) = (people * touches, people * MEASURED);
    let mut spent = 0;
    for event in 0..events {
        replay.append(Topic::Utm, RECEIVED_MS, record(event, people).as_bytes());
        if (event + 1) % PART == 0 {
            let begun = Instant::now();
            replay.run()?;
            if event >= events - measured {
                spent += begun.elapsed().as_nanos();
            }
        }
    }
    replay.finish()?;
    Ok(spent / u128::from(measured))
}

fn record(event: u64, people: u64) -> String {
    // A prime: everybody is as likely as anybody at any time.
    let person = event.wrapping_mul(7_919) % people;
    let time_ms = START_MS + i64::try_from(event * DAY_MS / people).unwrap_or(0);
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    let address = if event / people == 1 {
        format!(",\"email\":\"person{person}@company{}.example\"", person / 4)
    } else {
        String::new()
    };
    format!(
        "{{\"event_id\":\"e{event}\",\"timestamp\":\"{time}\",\"anonymous_id\":\"cookie-{person}\"{address},\
         \"url\":\"https://www.example.com/?utm_source=s{}&utm_medium=cpc&utm_campaign=c{}\"}}",
        event % 11,
        event % 17
    )
}

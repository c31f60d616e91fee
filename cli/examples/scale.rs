//! What an event costs where profiles have ten times the touches, and where there are ten times the profiles.
//!
//! `cargo run --release -p tributary --example scale`: the whole pipeline with its state in memory, over touches of people who are known by
//! a cookie and now and then by their address; no milestones. Of each run the last five
//! touches of everybody are measured, over the state that the others have left. Prints a line of JSON; costs are the least of some rounds, in nanoseconds an event.

#![allow(clippy::print_stdout, reason = "its result")]

use std::time::Instant;

use tributary_cli::replay::Replay;
use tributary_cli::settings::Settings;
use tributary_runtime::topic::Topic;

const PEOPLE: u64 = 2_000;
const TOUCHES: u64 = 10;
/// Events that the stages run over at a time.
const PART: u64 = 5_000;
/// The last events that are measured, for every person.
const MEASURED: u64 = 5;
const ROUNDS: usize = 5;
/// 2024-01-01, and after the last event of any run.
const START_MS: i64 = 1_704_067_200_000;
const RECEIVED_MS: i64 = 1_893_456_000_000;
/// Between two touches of a person.
const DAY_MS: u64 = 86_400_000;

fn main() -> anyhow::Result<()> {
    let mut least = [u128::MAX; 3];
    for _ in 0..ROUNDS {
        for (cost, (people, touches)) in
            least.iter_mut().zip([(PEOPLE, TOUCHES), (PEOPLE, TOUCHES * 10), (PEOPLE * 10, TOUCHES)])
        {
            *cost = nanos_an_event(people, touches)?.min(*cost);
        }
    }
    let [one, touches, people] = least;
    let percent = |cost: u128| cost * 100 / one.max(1);
    println!(
        "{{\"nanos\":{one},\"nanos_at_10x_touches\":{touches},\"nanos_at_10x_people\":{people},\"percent_at_10x_touches\":{},\"percent_at_10x_people\":{}}}",
        percent(touches),
        percent(people)
    );
    Ok(())
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

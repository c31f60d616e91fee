//! How many file descriptors each part of this process needs, by the settings.

use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::descriptors::{Descriptors, Wants, allowed};
use tributary_runtime::http::{FILES_BEYOND, Limits};

use crate::outcome::Usage;
use crate::shares::threads;

/// With fewer connections a collector is useless.
const CONNECTIONS_MIN: u64 = 16;
/// Kafka clients beside those of the workers: for watching the brokers, announcing the process, and the collector.
const CLIENTS_BESIDE: u64 = 4;
/// Clients per worker: for reading, writing and restoring.
const CLIENTS_OF_WORKER: u64 = 3;
/// At least this many brokers are expected, even if fewer are configured: clients learn the others.
const BROKERS_MIN: u64 = 3;

/// Divides the open files of a process with these stages. Assumes the number of partitions that `topics create` makes, all of them here.
pub fn share(settings: &Settings, stages: &[StageName]) -> Descriptors {
    let keeping = stages.iter().filter(|stage| stage.log().changelog.is_some()).count() as u64;
    let workers: u64 = stages.iter().map(|stage| u64::from(threads(settings, *stage))).sum();
    let beyond = FILES_BEYOND as u64 + 1;
    let of_listener = Limits::default().connections as u64 + beyond;
    let probes = settings.http.probes.map_or(0, |_| of_listener);
    let wants = if settings.kafka.is_embedded() {
        Wants { stores: 1, listeners: of_listener + probes + beyond, ..Wants::default() }
    } else {
        Wants {
            stores: keeping * u64::from(settings.topics.partitions),
            clients: workers * CLIENTS_OF_WORKER + CLIENTS_BESIDE,
            brokers: (settings.kafka.brokers.split(',').count() as u64).max(BROKERS_MIN),
            listeners: 2 * of_listener + probes + beyond,
        }
    };
    Descriptors::of(allowed(), wants)
}

/// How many connections the collector may have.
///
/// # Errors
/// When too few are left.
pub fn connections(settings: &Settings, shared: &Descriptors) -> Result<u64, Usage> {
    if shared.left() < CONNECTIONS_MIN {
        return Err(Usage(format!(
            "{}; raise the limit (`ulimit -n`, LimitNOFILE) by {CONNECTIONS_MIN} or more",
            told(shared)
        )));
    }
    Ok(shared.left().min(settings.collector.connections_max.into()))
}

/// The result for `check`.
///
/// # Errors
/// When there are too few.
pub fn tell(settings: &Settings) -> Result<String, String> {
    let shared = share(settings, &StageName::ALL);
    let told = told(&shared);
    if shared.need() > shared.allowed {
        return Err(format!("{told}; raise the limit (`ulimit -n`, LimitNOFILE)"));
    }
    if !settings.collects() {
        return Ok(told);
    }
    let served = connections(settings, &shared).map_err(|usage| usage.to_string())?;
    let wanted = u64::from(settings.collector.connections_max);
    let less = if served < wanted {
        format!(", and not collector.connections_max = {wanted}: raise the limit for more")
    } else {
        String::new()
    };
    Ok(format!("{told}; the collector has {served} connections{less}"))
}

fn told(shared: &Descriptors) -> String {
    let Descriptors { allowed, stores, kafka, listeners, reserve, .. } = shared;
    let of_kafka = if *kafka > 0 { format!(", Kafka {kafka}") } else { String::new() };
    format!(
        "of {allowed} open files {} are needed (stores {stores}{of_kafka}, metrics and questions {listeners}, reserve {reserve}), {} are left",
        shared.need(),
        shared.left()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(allowed: u64, wants: Wants) -> Descriptors {
        Descriptors::of(allowed, wants)
    }

    #[test]
    fn the_collector_has_what_is_left_and_no_more_than_is_set() {
        let settings = Settings::default();
        let one_store = Wants { stores: 1, listeners: 66, ..Wants::default() };
        assert_eq!(connections(&settings, &shared(1_024, one_store)), Ok(622));
        assert_eq!(connections(&settings, &shared(20_000, one_store)), Ok(1_024));
        let refused = connections(&settings, &shared(200, one_store)).unwrap_err().to_string();
        assert!(refused.starts_with("of 200 open files") && refused.contains("LimitNOFILE"), "{refused}");
    }

    #[test]
    fn stores_and_clients_are_those_of_the_settings() {
        let mut settings = Settings::default();
        assert_eq!(share(&settings, &StageName::ALL).kafka, 0);
        settings.kafka.brokers = "a:1,b:1,c:1,d:1".into();
        let all = share(&settings, &StageName::ALL);
        assert!(all.kafka > share(&settings, &[StageName::Ingest]).kafka);
        assert_eq!(share(&settings, &[StageName::Ingest]).stores, 0);
    }
}

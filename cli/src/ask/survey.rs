//! Which processes exist, which partitions they hold, and why a partition is not available from any.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::admin::{AskError, Client, RemoteView};
use tributary_runtime::kafka::{self, ConnectionErrors, Owners, Process};
use tributary_runtime::topic::Topic;

use super::{PartitionOf, Place, now_ms};
use crate::source;

/// Timeout of a request to a broker.
const ASK: Duration = Duration::from_secs(5);
/// How often, with a pause, a partition that is moving between processes is looked for again.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// The result.
#[derive(Default)]
pub(super) struct Survey {
    /// The number of partitions of the stages.
    pub partitions: u32,
    /// The views of processes.
    pub views: BTreeMap<PartitionOf, Place>,
    /// For every other partition, why there is no view.
    pub reasons: BTreeMap<PartitionOf, String>,
}

/// The answers of the processes.
#[derive(Default)]
struct Answers {
    views: BTreeMap<PartitionOf, Place>,
    /// By partition, the process that restores it.
    restoring: BTreeMap<PartitionOf, String>,
    /// By process, why it could not be asked; `None` if it answered.
    failed: BTreeMap<String, Option<String>>,
}

impl Survey {
    /// Asks the brokers, and the processes they list. `local` says whether a partition's state is on the disk of this machine.
    ///
    /// # Errors
    /// Why the brokers did not answer.
    pub fn of(settings: &Settings, local: &dyn Fn(PartitionOf) -> bool) -> Result<Self, String> {
        let asker = source::outsider(settings, "read_committed", "earliest").map_err(|error| error.to_string())?;
        let mut found = Self::default();
        for attempt in 1..=ATTEMPTS {
            let (survey, moving) = look(&asker, settings, local)?;
            found = survey;
            if !moving || attempt == ATTEMPTS {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(found)
    }
}

/// One attempt; also returns whether partitions are moving between processes.
fn look(
    asker: &BaseConsumer<ConnectionErrors>,
    settings: &Settings,
    local: &dyn Fn(PartitionOf) -> bool,
) -> Result<(Survey, bool), String> {
    let told = |error: rdkafka::error::KafkaError| kafka::explain(asker, asker.context(), &error);
    let prefix = &settings.kafka.group_prefix;
    let inbox = settings.topics.name(Topic::IdentityInbox);
    let metadata = asker.fetch_metadata(Some(&inbox), ASK).map_err(told)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if partitions == 0 {
        return Err(format!("there is no topic {inbox}"));
    }
    let answers = ask(&kafka::processes(asker, prefix, ASK).map_err(told)?, settings);
    let mut survey = Survey { partitions: u32::try_from(partitions).unwrap_or(0), ..Survey::default() };
    let mut moving = false;
    for stage in [StageName::Attributor, StageName::Identity].map(StageName::log) {
        let inbox = stage.inputs.first().map(|topic| settings.topics.name(*topic)).unwrap_or_default();
        let owners = kafka::owners(asker, prefix, (stage.stage, &inbox), ASK).map_err(told)?;
        for partition in 0..survey.partitions {
            let of = (stage.stage, partition);
            if answers.views.contains_key(&of) {
                continue;
            }
            let (reason, moves) = answers.reason(of, &owners, local(of));
            moving |= moves;
            survey.reasons.insert(of, reason);
        }
    }
    survey.views = answers.views;
    Ok((survey, moving))
}

/// Asks every process for a view of each stage.
fn ask(processes: &[Process], settings: &Settings) -> Answers {
    let mut answers = Answers::default();
    for stage in [StageName::Attributor, StageName::Identity].map(|stage| stage.log().stage) {
        for process in processes {
            let answered = answers.ask(process, stage, settings);
            let known = answers.failed.entry(process.instance.clone()).or_default();
            match answered {
                Ok(()) => *known = None,
                // A process that died and was started again is listed twice for a while.
                Err(error) if !answers.views.values().any(|place| is_of(place, &process.instance)) => {
                    *known = Some(why(process, &error));
                }
                Err(_) => {}
            }
        }
    }
    answers
}

fn is_of(place: &Place, name: &str) -> bool {
    matches!(place, Place::Process { instance, .. } if instance == name)
}

impl Answers {
    fn ask(&mut self, process: &Process, stage: &'static str, settings: &Settings) -> Result<(), AskError> {
        let token = &settings.admin.token;
        let mut client = Client::connect(&process.address, token)?;
        let holder = client.holder()?;
        if (holder.group_prefix.as_str(), &holder.instance) != (settings.kafka.group_prefix.as_str(), &process.instance) {
            let why = "another process listens there".to_owned();
            return Err(AskError::Connect { address: process.address.clone(), why });
        }
        for held in holder.partitions.iter().filter(|held| held.restoring && held.stage == stage) {
            self.restoring.insert((stage, held.partition), process.instance.clone());
        }
        let (view, as_of_ms) = (Arc::new(RemoteView::open(client, stage)?), now_ms());
        for (partition, inputs) in view.partitions() {
            // Two processes may claim a partition, if one does not know yet that it has lost it. The one with older offsets is wrong.
            let newer = match self.views.get(&(stage, partition)) {
                Some(Place::Process { inputs: known, .. }) => inputs.is_ahead_of(known),
                _ => true,
            };
            if newer {
                let place = Place::Process { instance: process.instance.clone(), view: view.clone(), inputs, as_of_ms };
                self.views.insert((stage, partition), place);
            }
        }
        Ok(())
    }

    /// Why no process has a view of the partition, and whether it is worth waiting.
    fn reason(&self, of: PartitionOf, owners: &Owners, local: bool) -> (String, bool) {
        if let Some(instance) = self.restoring.get(&of) {
            return (format!("the process {instance} is restoring it"), true);
        }
        let Some(instance) = owners.of.get(&of.1) else {
            let why = if owners.settled { "no running process holds it" } else { "it is moving between processes" };
            return (why.to_owned(), !owners.settled);
        };
        match self.failed.get(instance) {
            Some(Some(why)) => (format!("the process {instance} holds it and cannot be asked: {why}"), false),
            Some(None) => (format!("the process {instance} is taking it over or giving it up"), true),
            // The state of a process that has just stopped is on its disk.
            None => (format!("the process {instance} held it and has ended, or is only starting"), !local),
        }
    }
}

/// Why a process cannot be asked, and what to do.
fn why(process: &Process, error: &AskError) -> String {
    let local = process.address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    match error {
        AskError::Connect { .. } if local => format!(
            "{error}; it listens on loopback: ask on its machine, or give it admin.listen, admin.advertise and admin.token"
        ),
        AskError::Refused { status: 401, .. } => format!("{error}; set admin.token"),
        _ => error.to_string(),
    }
}

//! Executes identity's requests to erase a person: each becomes ordinary erasures, and is deleted. This is idempotent: when two processes
//! do it, or one does it twice, the erasures are equal and count once.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::gauge;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_proto::{ErasureRequest, Identifier};
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::metrics::ERASURE_REQUESTS_OPEN;
use tributary_runtime::service::{Pulse, Service};
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::{self, Row};

use crate::sink::{EmbeddedSink, KafkaSink, RawSink};
use crate::source::{EmbeddedReader, KafkaReader, Next, TopicReader, WAIT};
use crate::statement::erasures;

/// Pause between two checks.
const LOOK: Duration = Duration::from_secs(60);
/// Longest sleep of the thread.
const REST: Duration = Duration::from_secs(1);

/// Which identifiers a request erases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Those that are surely the person's.
    Sure,
    /// Also those that only public events have joined.
    All,
}

/// The open requests.
///
/// # Errors
/// When the topic cannot be read.
pub fn open(reader: &mut dyn TopicReader) -> anyhow::Result<Vec<ErasureRequest>> {
    let mut latest: BTreeMap<Vec<u8>, ErasureRequest> = BTreeMap::new();
    loop {
        match reader.next(WAIT)? {
            Next::Record(found) => match found.value.as_deref().map(format::read::<ErasureRequest>) {
                Some(Ok(request)) => drop(latest.insert(found.key, request)),
                Some(Err(error)) => tracing::warn!(%error, offset = found.offset, "a request to erase a person cannot be read"),
                None => drop(latest.remove(&found.key)),
            },
            Next::Idle => {}
            Next::End => return Ok(latest.into_values().collect()),
        }
    }
}

/// Opens the topic in the settings for reading.
///
/// # Errors
/// When it cannot be read.
pub fn reader(settings: &Settings) -> anyhow::Result<Box<dyn TopicReader>> {
    if settings.kafka.is_embedded() {
        return Ok(crate::source::open(settings, Topic::ErasureRequests, true)?);
    }
    Ok(Box::new(KafkaReader::open(settings, Topic::ErasureRequests, true)?.to_where_it_ends_now()?))
}

/// Sends the erasures, then deletes the request, or the finished part of it. Returns whether it is finished.
///
/// # Errors
/// When something cannot be delivered; then the request stays.
pub fn fulfil(request: &ErasureRequest, who: Who, sink: &mut dyn RawSink, pipeline: &Pipeline) -> anyhow::Result<bool> {
    let doubtful: &[Identifier] = if who == Who::All { &request.doubtful } else { &[] };
    let about: Vec<String> = request.identifiers.iter().chain(doubtful).map(Identifier::display).collect();
    let until = jiff::Timestamp::from_millisecond(request.until)?.to_string();
    for erasure in erasures(&about, Some(&until), pipeline)? {
        erasure.send_to(sink)?;
    }
    sink.flush()?;
    let done = who == Who::All || request.doubtful.is_empty();
    if done {
        sink.unpublish(Topic::ErasureRequests, request.key())?;
    } else if !request.identifiers.is_empty() {
        let left = ErasureRequest { identifiers: Vec::new(), ..request.clone() };
        sink.send(Topic::ErasureRequests, left.key(), &left.bytes(false), tributary_pipeline::time::now_ms())?;
    }
    sink.flush()?;
    Ok(done)
}

/// Starts a thread that checks for requests, and executes them if the settings say so.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(
    service: &mut Service,
    settings: &Settings,
    pipeline: &Pipeline,
    log: Option<&EmbeddedLog>,
) -> std::io::Result<()> {
    let (settings, pipeline, log) = (settings.clone(), pipeline.clone(), log.cloned());
    service.watch("erasure-requests".to_owned(), move |pulse| run(pulse, &settings, &pipeline, log.as_ref()))
}

fn run(pulse: &Pulse, settings: &Settings, pipeline: &Pipeline, log: Option<&EmbeddedLog>) {
    pulse.report(Vec::new());
    let mut waited = LOOK;
    while !pulse.stopping() {
        pulse.turn(0);
        if waited >= LOOK {
            waited = Duration::ZERO;
            match look(settings, pipeline, log) {
                Ok(left) => gauge!(ERASURE_REQUESTS_OPEN.name).set(f64::from(u32::try_from(left).unwrap_or(u32::MAX))),
                Err(error) => tracing::warn!(%error, "requests to erase a person cannot be read; will retry"),
            }
        }
        pulse.rest(REST);
        waited += REST;
    }
}

/// One check; returns the number of open requests.
fn look(settings: &Settings, pipeline: &Pipeline, log: Option<&EmbeddedLog>) -> anyhow::Result<usize> {
    let mut requests = match log {
        Some(log) => open(&mut EmbeddedReader::new(log.clone(), Topic::ErasureRequests, true))?,
        None => open(&mut *reader(settings)?)?,
    };
    let waiting = |request: &ErasureRequest| !request.identifiers.is_empty();
    if !settings.worker.expand_erasures || !requests.iter().any(waiting) {
        return Ok(requests.len());
    }
    let mut sink: Box<dyn RawSink> = match log {
        Some(log) => Box::new(EmbeddedSink::new(log.clone())),
        None => Box::new(KafkaSink::open(settings)?),
    };
    let mut failed = None;
    requests.retain(|request| match fulfil(request, Who::Sure, &mut *sink, pipeline) {
        Ok(done) => {
            tracing::info!(identifiers = request.identifiers.len(), doubtful = request.doubtful.len(), "a person was erased");
            !done
        }
        Err(error) => {
            failed = Some(error);
            true
        }
    });
    failed.map_or(Ok(requests.len()), Err)
}

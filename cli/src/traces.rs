//! Exports the spans of traced records by OTLP.
//!
//! A span is recorded on the worker's thread and exported on a thread of its own, from a queue of bounded length: an endpoint that is slow or
//! away costs spans, never records.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use tributary_pipeline::settings::Settings;
use tributary_runtime::stage::Record;
use tributary_runtime::topic::{Topic, TopicNames};
use tributary_runtime::trace::{TraceContext, Tracer};

/// Timeout of an export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the last export when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Exports the spans of a process.
pub struct Export {
    provider: SdkTracerProvider,
}

impl Export {
    /// From the settings; `None` if traces are off.
    ///
    /// # Errors
    /// When the endpoint cannot be used.
    pub fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        if !settings.traces.is_on() {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.traces.otlp_endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "tributary"),
                KeyValue::new("service.namespace", settings.kafka.group_prefix.clone()),
                KeyValue::new("service.instance.id", settings.kafka.instance_name()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let sampled = Sampler::TraceIdRatioBased(settings.traces.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(sampled)))
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider }))
    }

    /// A tracer for a worker of this stage. `topics` gives the names for spans.
    pub fn tracer(&self, stage: &'static str, topics: Arc<TopicNames>) -> Box<dyn Tracer> {
        Box::new(StageTracer { tracer: self.provider.tracer("tributary"), stage, topics, open: Vec::new() })
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

struct StageTracer {
    tracer: SdkTracer,
    stage: &'static str,
    topics: Arc<TopicNames>,
    /// The spans of the batch.
    open: Vec<Span>,
}

impl Tracer for StageTracer {
    fn begin(&mut self, record: &Record<'_>, parent: Option<TraceContext>) -> Option<TraceContext> {
        // Between stages, a record is traced only if its cause was.
        if parent.is_none() && !Topic::RAW.contains(&record.topic) {
            return None;
        }
        let around = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(remote(parent)));
        let builder = SpanBuilder::from_name(self.stage).with_kind(SpanKind::Consumer);
        let mut span = self.tracer.build_with_context(builder, &around);
        // Most records are not sampled: attributes are built only for those that are.
        if !span.span_context().is_sampled() {
            return None;
        }
        // https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
        span.set_attributes([
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.destination.name", self.topics.of(record.topic).to_owned()),
            KeyValue::new("messaging.destination.partition.id", record.partition.to_string()),
            KeyValue::new("messaging.kafka.offset", i64::try_from(record.offset).unwrap_or(i64::MAX)),
        ]);
        let context = span.span_context().clone();
        self.open.push(span);
        Some(TraceContext { trace_id: context.trace_id().to_bytes(), span_id: context.span_id().to_bytes() })
    }

    fn end(&mut self, committed: bool) {
        if self.open.is_empty() {
            return;
        }
        let now = SystemTime::now();
        for mut span in self.open.drain(..) {
            if !committed {
                span.set_status(Status::error("the transaction was not committed; the record is read again"));
            }
            span.end_with_timestamp(now);
        }
    }
}

fn remote(context: TraceContext) -> SpanContext {
    let TraceContext { trace_id, span_id } = context;
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id));
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, TraceState::default())
}

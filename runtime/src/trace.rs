//! Traces: the way of single records through the stages.
//!
//! A traced record has a context (W3C Trace Context, <https://www.w3.org/TR/trace-context/>) in its header `traceparent`. The span of a stage
//! begins when the stage reads the record, and ends with the transaction. What the stage writes because of the record carries the context of
//! that span, so the next stage's span is its child. What is written at the end of a batch belongs to the last traced record of its
//! partition: several records may have caused it, and only one context has room in a header.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::stage::Record;

/// The name of the header.
pub const HEADER: &str = "traceparent";

/// The trace context of a record in a sampled trace.
///
/// ```
/// use tributary_runtime::trace::TraceContext;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(header.as_bytes()).unwrap();
/// assert_eq!(context.header(), header);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span that the record follows from.
    pub span_id: [u8; 8],
}

impl TraceContext {
    /// Parses a header; `None` if it is malformed, or the trace is not sampled. Of a later version of the format the known parts are read,
    /// as the specification requires.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let mut parts = header.split(|byte| *byte == b'-');
        let version: [u8; 1] = hex(parts.next()?)?;
        let context = Self { trace_id: hex(parts.next()?)?, span_id: hex(parts.next()?)? };
        let flags: [u8; 1] = hex(parts.next()?)?;
        let whole = version != [0] || parts.next().is_none();
        let legal = version != [0xff] && context.trace_id != [0; 16] && context.span_id != [0; 8];
        (whole && legal && flags[0] & 1 == 1).then_some(context)
    }

    /// The header.
    pub fn header(&self) -> String {
        let (trace, span) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        format!("00-{trace:032x}-{span:016x}-01")
    }
}

/// Parses bytes in lower-case hexadecimal.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// Records the spans of one worker.
pub trait Tracer: Send {
    /// Begins the span of a record; `parent` is the record's own context. Returns the context for outputs of the record; `None` if it is
    /// not traced.
    fn begin(&mut self, record: &Record<'_>, parent: Option<TraceContext>) -> Option<TraceContext>;

    /// Ends all begun spans; `committed` says whether the transaction was.
    fn end(&mut self, committed: bool);
}

/// The traced records of a batch, and their outputs.
#[derive(Default)]
pub(crate) struct Traces {
    tracer: Option<Box<dyn Tracer>>,
    /// Ranges of outputs that follow from a traced record, in order.
    caused: Vec<(Range<usize>, TraceContext)>,
    /// The last traced record of each partition.
    last: BTreeMap<u32, TraceContext>,
}

impl Traces {
    /// With this tracer.
    pub(crate) fn by(tracer: Box<dyn Tracer>) -> Self {
        Self { tracer: Some(tracer), ..Self::default() }
    }

    /// A record is about to be handled.
    pub(crate) fn begin(&mut self, record: &Record<'_>, parent: impl FnOnce() -> Option<TraceContext>) -> Option<TraceContext> {
        let context = self.tracer.as_mut()?.begin(record, parent())?;
        self.last.insert(record.partition, context);
        Some(context)
    }

    /// These outputs follow from a traced record.
    pub(crate) fn caused(&mut self, context: Option<TraceContext>, outputs: Range<usize>) {
        self.caused.extend(context.filter(|_| !outputs.is_empty()).map(|context| (outputs, context)));
    }

    /// These outputs were written at the end of the batch of a partition: they count as following from its last traced record. Returns its
    /// context.
    pub(crate) fn caused_by_batch(&mut self, partition: u32, outputs: Range<usize>) -> Option<TraceContext> {
        let context = self.last.remove(&partition);
        self.caused(context, outputs);
        context
    }

    /// The context of each output that follows from a traced record, by the output's position.
    pub(crate) fn of_outputs(&mut self) -> BTreeMap<usize, TraceContext> {
        self.caused.drain(..).flat_map(|(outputs, context)| outputs.map(move |at| (at, context))).collect()
    }

    /// Ends the batch; `committed` says whether it was.
    pub(crate) fn end(&mut self, committed: bool) {
        self.caused.clear();
        self.last.clear();
        if let Some(tracer) = &mut self.tracer {
            tracer.end(committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Topic;

    #[test]
    fn only_contexts_of_recorded_traces_are_read() {
        let header = |text: &str| TraceContext::parse(text.as_bytes()).map(|context| context.header());
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let good = format!("00-{trace}-{span}-01");
        assert_eq!(header(&good), Some(good.clone()));
        assert_eq!(header(&format!("00-{trace}-{span}-03")), Some(good.clone()), "a flag that is not known");
        assert_eq!(header(&format!("cc-{trace}-{span}-01-what-comes-later")), Some(good));
        for bad in [
            format!("00-{trace}-{span}-00"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{trace}-{span}-01-more"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{span}"),
            format!("00-{}-{span}-01", &trace[1..]),
            String::new(),
        ] {
            assert_eq!(header(&bad), None, "{bad}");
        }
    }

    /// A tracer whose span ids are the offsets of the records.
    #[derive(Default)]
    struct Fake(std::sync::Arc<std::sync::Mutex<Vec<bool>>>);

    impl Tracer for Fake {
        fn begin(&mut self, record: &Record<'_>, parent: Option<TraceContext>) -> Option<TraceContext> {
            parent.map(|parent| TraceContext { span_id: record.offset.to_be_bytes(), ..parent })
        }

        fn end(&mut self, committed: bool) {
            self.0.lock().unwrap().push(committed);
        }
    }

    #[test]
    fn outputs_have_the_context_of_the_record_that_caused_them() {
        let fake = Fake::default();
        let ends = fake.0.clone();
        let mut traces = Traces::by(Box::new(fake));
        let record = |partition, offset| Record { topic: Topic::Sdk, partition, offset, timestamp_ms: 0, key: b"", value: b"" };
        let parent = TraceContext { trace_id: [7; 16], span_id: [1; 8] };
        let first = traces.begin(&record(0, 10), || Some(parent));
        traces.caused(first, 0..2);
        let untraced = traces.begin(&record(0, 11), || None);
        traces.caused(untraced, 2..3);
        let second = traces.begin(&record(1, 12), || Some(parent));
        traces.caused(second, 3..3);
        traces.caused_by_batch(0, 3..4);
        traces.caused_by_batch(1, 4..6);
        let spans: Vec<_> = traces.of_outputs().into_iter().map(|(at, of)| (at, u64::from_be_bytes(of.span_id))).collect();
        assert_eq!(spans, [(0, 10), (1, 10), (3, 10), (4, 12), (5, 12)]);
        traces.end(true);
        traces.caused_by_batch(0, 0..1);
        assert!(traces.of_outputs().is_empty(), "a batch knows nothing of the one before");
        traces.end(false);
        assert_eq!(*ends.lock().unwrap(), [true, false]);
    }

    #[test]
    fn without_a_tracer_no_header_is_read() {
        let mut traces = Traces::default();
        let record = Record { topic: Topic::Sdk, partition: 0, offset: 0, timestamp_ms: 0, key: b"", value: b"" };
        assert_eq!(traces.begin(&record, || panic!("read")), None);
    }
}

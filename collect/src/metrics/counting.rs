//! Label values, and initialisation of counters.

use metrics::counter;

use super::{BYTES, RECORDS, REQUESTS};
use crate::log::TOPICS;
use crate::refusal::Refusal;

/// The routes.
pub(crate) const SEGMENT: &str = "segment";
pub(crate) const UTM: &str = "utm";
pub(crate) const PIXEL: &str = "pixel";
pub(crate) const WEBHOOK: &str = "webhook";
const ROUTES: [&str; 4] = [SEGMENT, UTM, PIXEL, WEBHOOK];
/// The label of a request that was not refused.
pub(crate) const OK: &str = "ok";

/// Sets every counter of the collector that has no value yet to 0, so that the first count shows as an increase.
pub fn begin_at_zero() {
    for route in ROUTES {
        for outcome in std::iter::once(OK).chain(Refusal::CODES) {
            counter!(REQUESTS.name, "route" => route, "outcome" => outcome).increment(0);
        }
    }
    for topic in TOPICS {
        counter!(RECORDS.name, "topic" => topic.name()).increment(0);
        counter!(BYTES.name, "topic" => topic.name()).increment(0);
    }
}

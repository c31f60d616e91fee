//! Credit updates on their way out. A milestone has many of them, which differ in a few numbers: what those of one milestone, touch or model
//! have in common is encoded once.

use std::collections::BTreeMap;

use prost::encoding::{btree_map, int64, string};
use tributary_proto::{CreditUpdate, Milestone, ModelRevision};
use tributary_runtime::stage::Outbox;
use tributary_runtime::topic::Topic;

use crate::view::TouchView;

/// Encodes the updates of a milestone. The bytes are those of the whole message, in the order of its tags.
#[derive(Default)]
pub(super) struct Updates {
    /// The columns of milestone and touch, and the model and numbers of the latest update.
    row: CreditUpdate,
    /// Fields 1 and 2.
    milestone: Vec<u8>,
    /// Fields 5 to 15.
    touch: Vec<u8>,
    /// Field 18.
    currency: Vec<u8>,
    /// Field 23.
    reporting: Vec<u8>,
    /// Field 26.
    dimensions: Vec<u8>,
    /// Field 27.
    milestone_dimensions: Vec<u8>,
    /// Fields 3 and 4, by the model's position in the ledger.
    models: Vec<Vec<u8>>,
}

/// The share that an update shows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub weight_nano: i64,
    pub value_minor: i64,
    pub delta_weight_nano: i64,
    pub delta_value_minor: i64,
    pub revision: u64,
    pub reason: i32,
    pub reporting_value_minor: i64,
    pub delta_reporting_value_minor: i64,
}

impl Updates {
    /// For the updates of the milestone with this id, under these models.
    pub fn of(milestone_id: &str, models: &[ModelRevision]) -> Self {
        let row = CreditUpdate { milestone_id: milestone_id.to_owned(), ..CreditUpdate::default() };
        let encoded = |of: &ModelRevision| {
            let mut out = Vec::new();
            put_texts(&[(3, &of.model), (4, &of.version)], &mut out);
            out
        };
        Self { row, models: models.iter().map(encoded).collect(), ..Self::default() }
    }

    /// Sets the milestone's columns of the next updates.
    pub fn show_milestone(&mut self, milestone: &Milestone, account_id: &str, reporting: &str) {
        let row = &mut self.row;
        row.milestone_kind.clone_from(&milestone.kind);
        row.milestone_time = milestone.time_ms;
        row.currency.clone_from(&milestone.currency);
        account_id.clone_into(&mut row.account_id);
        reporting.clone_into(&mut row.reporting_currency);
        put_texts(&[(1, &row.milestone_id), (2, &row.milestone_kind)], anew(&mut self.milestone));
        put_texts(&[(18, &row.currency)], anew(&mut self.currency));
        put_texts(&[(23, &row.reporting_currency)], anew(&mut self.reporting));
        row.milestone_dimensions.clone_from(&milestone.dimensions);
        put_map(27, &row.milestone_dimensions, anew(&mut self.milestone_dimensions));
    }

    /// Sets the touch's columns of the next updates.
    pub fn show_touch(&mut self, touch: &TouchView<'_>, profile_id: &str) {
        let row = &mut self.row;
        for (field, text) in [
            (&mut row.touch_id, touch.event_id),
            (&mut row.profile_id, profile_id),
            (&mut row.channel, touch.channel),
            (&mut row.source, touch.source),
            (&mut row.medium, touch.medium),
            (&mut row.campaign, touch.campaign),
            (&mut row.content, touch.content),
            (&mut row.term, touch.term),
        ] {
            text.clone_into(field);
        }
        row.touch_time = touch.time_ms;
        let out = anew(&mut self.touch);
        put_texts(
            &[
                (5, &row.touch_id),
                (6, &row.account_id),
                (7, &row.profile_id),
                (8, &row.channel),
                (9, &row.source),
                (10, &row.medium),
                (11, &row.campaign),
                (12, &row.content),
                (13, &row.term),
            ],
            out,
        );
        put(14, row.touch_time, out);
        put(15, row.milestone_time, out);
        touch.write_dimensions(&mut row.dimensions);
        put_map(26, &row.dimensions, anew(&mut self.dimensions));
    }

    /// Publishes the update of a share under the model at this position of the ledger.
    pub fn publish(&mut self, outbox: &mut Outbox, (position, model): (usize, &ModelRevision), share: &Share) {
        if outbox.writes_json(Topic::Credits) {
            self.fill(model, share);
            outbox.publish(&self.row);
        } else {
            let bytes = self.bytes(position, share);
            outbox.publish_encoded(Topic::Credits, self.row.milestone_id.as_bytes(), bytes);
        }
    }

    /// The whole message.
    fn fill(&mut self, model: &ModelRevision, share: &Share) {
        let row = &mut self.row;
        row.model.clone_from(&model.model);
        row.model_version.clone_from(&model.version);
        row.weight_nano = share.weight_nano;
        row.value_minor = share.value_minor;
        row.delta_weight_nano = share.delta_weight_nano;
        row.delta_value_minor = share.delta_value_minor;
        row.revision = share.revision;
        row.reason = share.reason;
        row.reporting_value_minor = share.reporting_value_minor;
        row.delta_reporting_value_minor = share.delta_reporting_value_minor;
    }

    /// The whole message, encoded.
    fn bytes(&self, position: usize, share: &Share) -> Vec<u8> {
        let model = self.models.get(position).map(Vec::as_slice).unwrap_or_default();
        let numbers = [
            (16, share.weight_nano),
            (17, share.value_minor),
            (19, share.delta_weight_nano),
            (20, share.delta_value_minor),
            (21, share.revision.cast_signed()),
            (22, share.reason.into()),
            (24, share.reporting_value_minor),
            (25, share.delta_reporting_value_minor),
        ];
        let written = numbers.iter().filter(|(_, number)| *number != 0);
        let length: usize = written.map(|(tag, number)| int64::encoded_len(*tag, number)).sum();
        let dimensions: [&[u8]; 2] = [&self.dimensions, &self.milestone_dimensions];
        let texts = [&self.milestone, model, &self.touch, &self.currency, &self.reporting].into_iter().chain(dimensions);
        let mut out = Vec::with_capacity(length + texts.map(|part| part.len()).sum::<usize>());
        out.extend_from_slice(&self.milestone);
        out.extend_from_slice(model);
        out.extend_from_slice(&self.touch);
        for (tag, number) in numbers {
            match tag {
                19 => out.extend_from_slice(&self.currency),
                24 => out.extend_from_slice(&self.reporting),
                _ => {}
            }
            put(tag, number, &mut out);
        }
        dimensions.iter().for_each(|part| out.extend_from_slice(part));
        out
    }
}

/// Empties a buffer and keeps its memory.
fn anew(out: &mut Vec<u8>) -> &mut Vec<u8> {
    out.clear();
    out
}

/// Empty texts are not written, as in proto3.
fn put_texts(texts: &[(u32, &String)], out: &mut Vec<u8>) {
    for (tag, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        string::encode(*tag, text, out);
    }
}

fn put_map(tag: u32, map: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    btree_map::encode(string::encode, string::encoded_len, string::encode, string::encoded_len, tag, map, out);
}

/// 0 is not written, as in proto3. Every number of a row has these bytes, whatever its integer type.
fn put(tag: u32, number: i64, out: &mut Vec<u8>) {
    if number != 0 {
        int64::encode(tag, &number, out);
    }
}

#[cfg(test)]
mod tests {
    use tributary_proto::{Dimensions, Message, StoredTouch, Touch};

    use super::*;

    fn touch(channel: &str) -> Vec<u8> {
        let [source, medium, campaign, content, term] = ["s", "m", "c", "co", "t"].map(|text| format!("{text}-{channel}"));
        let values = [("product".to_owned(), format!("p-{channel}")), ("team".to_owned(), "north".to_owned())].into();
        let dimensions = Some(Dimensions { values });
        let touch = Touch { channel: channel.into(), source, medium, campaign, content, term, dimensions, ..Touch::default() };
        StoredTouch { event_id: "e".into(), time_ms: 5, touch: Some(touch), ..StoredTouch::default() }.encode_to_vec()
    }

    /// All fields by name: so a new field does not compile until it is added here, and then in the encoder.
    fn row(share: &Share) -> CreditUpdate {
        CreditUpdate {
            milestone_id: "won:1".into(),
            milestone_kind: "won".into(),
            model: "linear".into(),
            model_version: "v1".into(),
            touch_id: "e".into(),
            account_id: "a".into(),
            profile_id: "p".into(),
            channel: "email".into(),
            source: "s-email".into(),
            medium: "m-email".into(),
            campaign: "c-email".into(),
            content: "co-email".into(),
            term: "t-email".into(),
            touch_time: 5,
            milestone_time: 9,
            weight_nano: share.weight_nano,
            value_minor: share.value_minor,
            currency: "CNY".into(),
            delta_weight_nano: share.delta_weight_nano,
            delta_value_minor: share.delta_value_minor,
            revision: share.revision,
            reason: share.reason,
            reporting_currency: "EUR".into(),
            reporting_value_minor: share.reporting_value_minor,
            delta_reporting_value_minor: share.delta_reporting_value_minor,
            dimensions: [("product".to_owned(), "p-email".to_owned()), ("team".to_owned(), "north".to_owned())].into(),
            milestone_dimensions: [("region".to_owned(), "south".to_owned())].into(),
        }
    }

    #[test]
    fn an_update_has_the_bytes_of_the_whole_message() {
        let model = |name: &str| ModelRevision { model: name.into(), version: "v1".into(), revision: 0 };
        let mut updates = Updates::of("won:1", &[model("first_touch"), model("linear")]);
        let dimensions = [("region".to_owned(), "south".to_owned())].into();
        let milestone =
            Milestone { kind: "won".into(), time_ms: 9, currency: "CNY".into(), dimensions, ..Milestone::default() };
        updates.show_milestone(&milestone, "a", "EUR");
        for channel in ["direct", "email"] {
            updates.show_touch(&TouchView::parse(&touch(channel)).unwrap(), "p");
        }
        let share = Share {
            weight_nano: 1,
            value_minor: 200,
            delta_weight_nano: -3,
            delta_value_minor: -400_000,
            revision: 5,
            reason: 6,
            reporting_value_minor: 7,
            delta_reporting_value_minor: i64::MIN,
        };
        for share in [share, Share::default(), Share { revision: 1 << 40, ..share }] {
            let bytes = updates.bytes(1, &share);
            assert_eq!((bytes.clone(), bytes.capacity()), (row(&share).encode_to_vec(), bytes.len()));
            updates.fill(&model("linear"), &share);
            assert_eq!(updates.row, row(&share), "as JSON, too");
        }
        // Empty fields are left out.
        updates.show_milestone(&Milestone::default(), "", "");
        updates.show_touch(&TouchView::default(), "");
        let nothing = CreditUpdate {
            milestone_id: "won:1".into(),
            model: "first_touch".into(),
            model_version: "v1".into(),
            ..CreditUpdate::default()
        };
        assert_eq!(updates.bytes(0, &Share::default()), nothing.encode_to_vec());
    }
}

//! The reason for a touch's weight, in words.

use super::Weigher;
use crate::paths::ChannelId;

impl Weigher {
    /// Why the touch at this position has its weight; empty if it has none. `touches` are given by their labels.
    pub fn why(&self, touches: &[impl AsRef<str>], at: usize) -> String {
        let Some(label) = touches.get(at).map(AsRef::as_ref) else { return String::new() };
        let mut labels: Vec<&str> = touches.iter().map(AsRef::as_ref).collect();
        labels.sort_unstable();
        labels.dedup();
        labels.retain(|label| self.knows(label));
        if labels.is_empty() {
            return "the parameter set knows no channel of this journey: equal parts".to_owned();
        }
        let weights = self.of_labels(&labels);
        let weight = labels.binary_search(&label).ok().and_then(|place| weights.get(place)).copied().unwrap_or_default();
        if weight == 0 {
            return String::new();
        }
        let set: Vec<ChannelId> = labels.iter().filter_map(|label| self.id(label)).collect();
        let mut words = self.reason(label, labels.len(), &set);
        let touches = touches.iter().filter(|touch| touch.as_ref() == label).count();
        if touches > 1 {
            words += &format!("; in equal parts to its {touches} touches");
        }
        words
    }

    fn reason(&self, label: &str, count: usize, set: &[ChannelId]) -> String {
        let Some(channel) = self.id(label) else { return format!("one of {count} channels, in equal parts") };
        if self.learnt.weights(set).iter().all(|weight| *weight == 0) {
            return format!("the parameter set gives no channel of this journey anything: one of {count}, in equal parts");
        }
        self.learnt.why(set, channel, &|channel| self.name(channel))
    }

    fn name(&self, channel: ChannelId) -> &str {
        self.labels.get(usize::from(channel)).map_or("", String::as_str)
    }
}

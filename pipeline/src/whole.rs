//! The configuration as a whole: its keys, and errors in their values.

use tributary_runtime::config::admin::AdminSettings;
use tributary_runtime::config::kafka::KafkaSettings;
use tributary_runtime::config::kinds::KindsSettings;
use tributary_runtime::config::memory::MemoryBudget;
use tributary_runtime::config::settings::{HttpSettings, TopicsSettings, WorkerSettings};
use tributary_runtime::config::traces::TraceSettings;
use tributary_runtime::config::{self, Given, Problems, Section, Shapes};

use crate::settings::Settings;
use crate::stages::Pipeline;

impl config::Settings for Settings {
    fn shapes() -> Shapes {
        Shapes::default()
            .with::<KindsSettings>()
            .with::<KafkaSettings>()
            .with::<TopicsSettings>()
            .with::<HttpSettings>()
            .with::<AdminSettings>()
            .with::<TraceSettings>()
            .with::<tributary_collect::Settings>()
            .with::<WorkerSettings>()
            .with::<tributary_ingest::Settings>()
            .with::<tributary_identity::Settings>()
            .with::<tributary_attributor::settings::Settings>()
            .with::<tributary_attributor::settings::CurrencySettings>()
            .with::<tributary_attributor::settings::OutputSettings>()
    }

    fn check(&self, problems: &mut Problems) {
        let kinds = self.kinds.kinds();
        let given = Given::new(&kinds);
        self.kafka.compile_in(&given, problems);
        self.topics.compile_in(&given, problems);
        self.worker.compile_in(&given, problems);
        self.http.compile_in(&given, problems);
        self.admin.compile_in(&given, problems);
        self.traces.compile_in(&given, problems);
        let has_headers = !self.traces.is_on() || !self.kafka.is_embedded();
        problems.unless(has_headers, "traces.otlp_endpoint", "needs kafka.brokers: the embedded log has no headers for traces");
        self.collector.compile_in(&given, problems);
        let queue_mb_max = MemoryBudget::collector_mb_max(self.worker.process_mb());
        let fits = !self.collects() || self.collector.queue_mb <= queue_mb_max;
        let expected = format!(
            "expected at most {queue_mb_max}: half of what worker.memory_mb, of which it is a part, leaves to be shared out"
        );
        problems.unless(fits, "collector.queue_mb", &expected);
        if let Err(found) = Pipeline::compile(self) {
            problems.0.extend(found.0);
        }
    }
}

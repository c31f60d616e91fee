//! Models that learn, by their parameter sets.

use tributary_attributor::plan::Plan;
use tributary_attributor::settings::{Label, ModelSettings, Settings};
use tributary_learn::fit::{Options, fit};
use tributary_learn::parameters::{About, ModelKind};
use tributary_learn::paths::{Outcomes, Paths};
use tributary_proto::WHOLE_NANO;
use tributary_proto::kind::Kinds;

use super::{DAY_MS, days, milestone, model, named, weights};

/// A parameter set in a file of its own, by its path.
fn set_of(kind: ModelKind) -> String {
    let mut paths = Paths::default();
    let [a, b, rare] = ["a", "b", "rare"].map(|label| paths.label(label).unwrap());
    for (path, converting, null) in [(vec![a], 2, 8), (vec![b], 1, 9), (vec![a, b], 4, 6), (vec![rare], 0, 3)] {
        paths.add(&path, Outcomes { converting, null });
    }
    let options = Options { models: vec![kind], ..Options::default() };
    let set = fit(&paths.counted(), &About::default(), &options, &|_| {}).unwrap().remove(0);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.json", set.name().unwrap()));
    std::fs::write(&file, set.text().unwrap()).unwrap();
    file.display().to_string()
}

fn learning(kind: ModelKind) -> Settings {
    let learnt = ModelSettings { parameters: Some("own".into()), ..model("learnt", kind.name()) };
    Settings { models: vec![learnt], parameters: [("own".to_owned(), set_of(kind))].into(), ..Settings::default() }
}

#[test]
fn models_that_learn_weigh_the_channels_by_their_set() {
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let journey = days(&[("1", 1, "a"), ("2", 2, "b"), ("3", 3, "a"), ("4", 4, "never seen"), ("5", 5, "rare")]);
    for (kind, a) in [
        (ModelKind::ShapleyRate, 7.0 / 11.0),
        (ModelKind::Apriori, (0.3 * 9.9 / 7.0 + 0.4 * 13.2 / 14.0) / (0.3 * 9.9 / 7.0 + 0.25 * 8.25 / 7.0 + 0.4 * 13.2 / 7.0)),
    ] {
        let found = weights(&learning(kind), "learnt", &journey, &won, &[]);
        let of = |id: &str| found.iter().filter(|(event, _)| event == id).map(|(_, weight)| *weight).sum::<u64>();
        assert_eq!(of("1"), of("3"), "{kind:?}");
        assert!((of("1") as f64 - a / 2.0 * 1e9).abs() < 2.0, "{kind:?}: {found:?}, {a}");
        assert_eq!(of("1") + of("2") + of("3"), WHOLE_NANO, "{kind:?}: {found:?}");
    }
    for kind in [ModelKind::Markov { order: 2 }, ModelKind::Spm, ModelKind::Blr] {
        let found = weights(&learning(kind), "learnt", &journey, &won, &[]);
        assert_eq!(found.iter().map(|(_, weight)| weight).sum::<u64>(), WHOLE_NANO, "{kind:?}");
        assert!(found.iter().all(|(event, _)| event != "4"), "{kind:?}: {found:?}");
    }
    let unknown = days(&[("1", 1, "x"), ("2", 2, "y"), ("3", 3, "x"), ("4", 4, "x")]);
    let equal: Vec<(String, u64)> = ["1", "2", "3", "4"].map(|id| (id.to_owned(), WHOLE_NANO / 4)).into();
    assert_eq!(weights(&learning(ModelKind::Spm), "learnt", &unknown, &won, &[]), equal);
}

#[test]
fn the_sum_game_needs_no_set_and_shares_by_channel() {
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let settings = Settings { models: vec![model("shapley", "Shapley value")], ..Settings::default() };
    let journey = days(&[("1", 1, "a"), ("2", 2, "b"), ("3", 3, "a")]);
    let expected = named(&[("1", WHOLE_NANO / 4), ("2", WHOLE_NANO / 2), ("3", WHOLE_NANO / 4)]);
    assert_eq!(weights(&settings, "shapley", &journey, &won, &[]), expected);
}

#[test]
fn a_set_is_part_of_the_version_and_must_be_of_the_model() {
    let version = |settings: &Settings| {
        let plan = Plan::compile(settings, &Kinds::default()).unwrap();
        plan.models_of("mql").map(|model| model.version.clone()).collect::<Vec<_>>()
    };
    assert_ne!(version(&learning(ModelKind::Markov { order: 1 })), version(&learning(ModelKind::Markov { order: 3 })));
    let problem = |change: &dyn Fn(&mut Settings)| {
        let mut settings = learning(ModelKind::Spm);
        change(&mut settings);
        let problems = Plan::compile(&settings, &Kinds::default()).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
        problems.to_string()
    };
    assert!(problem(&|settings| settings.models[0].rule = "blr".into()).contains("is a set of spm, not of blr"));
    assert!(problem(&|settings| settings.models[0].parameters = None).contains("needs a parameter set"));
    assert!(problem(&|settings| settings.models[0].parameters = Some("won".into())).contains("did you mean \"own\"?"));
    assert!(problem(&|settings| settings.models[0].label = Some(Label::Campaign)).contains("is a parameter of shapley"));
    let missing = problem(&|settings| drop(settings.parameters.insert("own".into(), "/nowhere/at/all.json".into())));
    assert!(missing.starts_with("parameters.own: the file cannot be used"), "{missing}");
}

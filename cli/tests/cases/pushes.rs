//! Pushes as providers send them, by the command with which a mapping is tried.

use serde_json::Value;

use crate::answer::file;
use crate::support::command::{err, out, tributary};

/// Tickets, authorisations and texts have nothing about a person: they are decoded, and are no dead letters.
#[test]
fn nothing_is_refused_of_what_a_provider_may_send() {
    let cases = [
        ("11_pushes/suite_ticket.xml", "wecom", 0, 1),
        ("11_pushes/create_auth.xml", "wecom", 0, 1),
        ("11_pushes/text.xml", "wecom", 0, 1),
        ("11_pushes/verify_ticket.xml", "wechat", 0, 1),
        ("11_pushes/mini_program.json", "wechat", 1, 0),
        ("04_currency/currency_only.salesforce.json", "salesforce", 6, 0),
        ("07_amounts/amount.hubspot.json", "hubspot", 7, 0),
        ("07_amounts/amounts.salesforce.json", "salesforce", 42, 0),
    ];
    for (name, provider, events, without_event) in cases {
        let path = file(name);
        let tried = tributary(&["test-mapping", path.to_str().unwrap(), "--provider", provider, "--json"]);
        assert_eq!(tried.status.code(), Some(0), "{name}: {}", err(&tried));
        let report: Value = serde_json::from_str(&out(&tried)).unwrap();
        let count = |what: &str| report[what].as_array().unwrap().len();
        let found = (count("events"), count("refused"), report["without_event"].as_u64().unwrap());
        assert_eq!(found, (events, 0, without_event), "{name}: {report}");
    }
}

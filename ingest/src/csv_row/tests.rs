use super::*;
use crate::settings::Settings;

fn rows(header: &str) -> Result<CsvRows, Rejection> {
    CsvRows::new(&Decoder::new(&Settings::default()).unwrap(), header.split(','))
}

#[test]
fn cells_become_fields() {
    let rows = rows("\u{feff}Timestamp, Email,traits.Full Name,,note").unwrap();
    let record = rows.record(["2022-04-13", "a@b.cn；c@b.cn;", "a;b \"x\"", "dropped", ""]).unwrap();
    assert_eq!(record, r#"{"timestamp":"2022-04-13","email":["a@b.cn","c@b.cn"],"traits.Full Name":"a;b \"x\""}"#);
    assert_eq!(rows.record(["", "", "", "", ""]).unwrap(), "{}");
}

#[test]
fn rows_and_headers_must_agree() {
    assert_eq!(rows("a,A").unwrap_err().reason, reason::CSV_MALFORMED);
    assert_eq!(rows(" ,").unwrap_err().reason, reason::CSV_MALFORMED);
    let rows = rows("a,b").unwrap();
    assert_eq!(rows.record(["1"]).unwrap_err().reason, reason::CSV_MALFORMED);
    assert_eq!(rows.record(["1", "2", "3"]).unwrap_err().reason, reason::CSV_MALFORMED);
}

#[test]
fn what_a_spreadsheet_mangled_is_refused() {
    let mut rows = rows("phone,user_id,crm_contact,campaign").unwrap();
    for known in ["0012345", "0000001"] {
        rows.survey(["", known, "", ""]);
    }
    for (row, column) in [
        (["1.38E+10", "", "", ""], "phone"),
        (["13800001111.0", "", "", ""], "phone"),
        (["13800001112;13800001111.0", "", "", ""], "phone"),
        (["", "12345", "", ""], "user_id"),
        (["", "", "7.0", ""], "crm_contact"),
    ] {
        let refused = rows.record(row).unwrap_err();
        assert_eq!((refused.reason, refused.field.as_str()), (reason::IDENTIFIER_INVALID, column));
        assert!(refused.detail.contains("format the column as text"), "{}", refused.detail);
    }
    for row in [["13800001111", "0012345", "7", "1.38E+10"], ["010 6555 1234", "u7", "003Z", "7.0"]] {
        rows.record(row).unwrap();
    }
}

#[test]
fn ga4_offline_events_are_known() {
    let settings =
        Settings { milestone_events: [("purchase".to_owned(), "closed_won".to_owned())].into(), ..Settings::default() };
    let header = "measurement_id,client_id,user_id,timestamp_micros,event_name,event_param.source,event_param.transaction_id,user_property.tier";
    let rows = CsvRows::new(&Decoder::new(&settings).unwrap(), header.split(',')).unwrap();
    assert_eq!(rows.unknown_columns().collect::<Vec<_>>(), ["measurement_id"]);
    let record = |event| rows.record(["G-1", "12.34", "u", "1649829600000000", event, "booth", "9", "gold"]);
    let expected = r#"{"measurement_id":"G-1","anonymous_id":"12.34","user_id":"u","timestamp":"2022-04-13T06:00:00Z","touch_type":"visit","source":"booth","object_id":"9","traits.tier":"gold"}"#;
    assert_eq!(record("visit").unwrap(), expected);
    assert!(record("purchase").unwrap().contains(r#""kind":"milestone","milestone":"closed_won""#));
    assert_eq!(rows.record(["", "1", "", "soon", "", "", "", ""]).unwrap_err().field, "timestamp_micros");
}

#[test]
fn google_ads_click_conversions_are_known() {
    let header = "Google Click ID,Conversion Name,Conversion Time,Conversion Value,Conversion Currency,Email";
    let rows = rows(header).unwrap().in_zone("Asia/Shanghai").unwrap();
    let record = |name, time| rows.record(["Cj0", name, time, "5", "CNY", "a@b.example"]);
    let expected = r#"{"gclid":"Cj0","object_id":"Cj0","kind":"milestone","milestone":"closed_won","timestamp":"2022-04-13T06:00:00Z","value":"5","currency":"CNY","email":"a@b.example"}"#;
    for time in [
        "2022-04-13 14:00:00",
        "04/13/2022 14:00:00",
        "4/13/2022 2:00:00 PM",
        "2022-04-13 08:00:00+0200",
        "2022-04-13T06:00:00Z",
        "Apr 13, 2022 2:00:00 PM",
        "2022-04-13 07:00:00 Europe/London",
    ] {
        assert_eq!(record("Closed Won", time).unwrap(), expected, "{time}");
    }
    assert_eq!(record("Newsletter", "2022-04-13 14:00:00").unwrap_err().reason, reason::MILESTONE_UNKNOWN);
    assert_eq!(record("mql", "today").unwrap_err().reason, reason::TIMESTAMP_INVALID);
    assert!(rows.clone().in_zone("Mars").is_err());
}

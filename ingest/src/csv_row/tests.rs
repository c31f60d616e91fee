use super::*;
use crate::settings::Settings;
use tributary_proto::kind::Kinds;

fn rows(header: &str) -> Result<CsvRows, Rejection> {
    CsvRows::new(&Decoder::new(&Settings::default(), &Kinds::default()).unwrap(), header.split(','))
}

#[test]
fn cells_become_fields() {
    let rows = rows("\u{feff}Timestamp, Email,traits.Full Name,,note").unwrap();
    let record = rows.record(["2022-04-13", "a@b.cn；c@b.cn;", "a;b \"x\"", "dropped", ""]).unwrap();
    assert_eq!(record, r#"{"timestamp":"2022-04-13","email":["a@b.cn","c@b.cn"],"traits.Full Name":"a;b \"x\""}"#);
    assert_eq!(rows.record(["", "", "", "", ""]).unwrap(), "{}");
    // Exports write texts like this, so that a spreadsheet does not read them as numbers.
    let record = rows.record(["=\"2022-04-13\"", "=\"\"", "=\"007\"", "", "=1+1"]).unwrap();
    assert_eq!(record, r#"{"timestamp":"2022-04-13","traits.Full Name":"007","note":"=1+1"}"#);
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
fn ids_that_a_spreadsheet_made_numbers_are_none() {
    let mut rows = rows("timestamp,phone,user_id,crm_contact,campaign").unwrap();
    for known in ["0012345", "0000001"] {
        rows.survey(["", "", known, "", ""]);
    }
    let decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
    let named = |cells: [&str; 4]| {
        let [phone, user, contact, campaign] = cells;
        let record = rows.record(["2022-04-13", phone, user, contact, campaign]).unwrap();
        let mut out = crate::Decoded::default();
        decoder
            .decode(tributary_proto::Source::Offline, record.as_bytes(), None, &mut out)
            .map_err(|why| (why.field, why.detail))?;
        let names: Vec<String> = out.events[0].identifiers.iter().map(|id| id.value.to_string()).collect();
        let fields: Vec<String> = out.ignored.iter().map(|left| left.why.field.clone()).collect();
        Ok::<_, (String, String)>(format!("{} without {}", names.join(" "), fields.join(" ")))
    };
    for (row, field) in
        [(["1.38E+10", "", "", ""], "phone"), (["", "12345", "", ""], "user_id"), (["", "", "7.0", ""], "crm_contact")]
    {
        let (found, detail) = named(row).unwrap_err();
        assert_eq!(found, field);
        assert!(field == "phone" || detail.contains("lost digits"), "{detail}");
    }
    for (row, expected) in [
        (["13800001111.0", "", "", ""], "+8613800001111 without "),
        (["13800001112;13800001111.0", "", "", ""], "+8613800001111 +8613800001112 without "),
        (["13800001111", "12345", "003Z;8.0", "1.38E+10"], "003Z +8613800001111 without crm_contact user_id"),
        (["138****1111", "0012345", "7", "7.0"], "7 0012345 without phone"),
    ] {
        assert_eq!(named(row).as_deref(), Ok(expected), "{row:?}");
    }
}

#[test]
fn ga4_offline_events_are_recognised() {
    let settings =
        Settings { milestone_events: [("purchase".to_owned(), "closed_won".to_owned())].into(), ..Settings::default() };
    let header = "measurement_id,client_id,user_id,timestamp_micros,event_name,event_param.source,event_param.transaction_id,user_property.tier";
    let rows = CsvRows::new(&Decoder::new(&settings, &Kinds::default()).unwrap(), header.split(',')).unwrap();
    assert_eq!(rows.unknown_columns().collect::<Vec<_>>(), ["measurement_id"]);
    let record = |event| rows.record(["G-1", "12.34", "u", "1649829600000000", event, "booth", "9", "gold"]);
    let expected = r#"{"measurement_id":"G-1","anonymous_id":"12.34","user_id":"u","timestamp":"2022-04-13T06:00:00Z","touch_type":"visit","source":"booth","object_id":"9","traits.tier":"gold"}"#;
    assert_eq!(record("visit").unwrap(), expected);
    assert!(record("purchase").unwrap().contains(r#""kind":"milestone","milestone":"closed_won""#));
    let plain = CsvRows::new(
        &Decoder::new(&Settings::default(), &Kinds::default()).unwrap(),
        ["client_id", "timestamp_micros", "event_name"],
    )
    .unwrap();
    assert!(plain.record(["1.2", "1649829600000000", "purchase"]).unwrap().contains(r#""kind":"identify""#));
    assert!(plain.record(["1.2", "1649829600000000", "page_view"]).unwrap().contains(r#""touch_type":"page_view""#));
    assert_eq!(rows.record(["", "1", "", "soon", "", "", "", ""]).unwrap_err().field, "timestamp_micros");
}

#[test]
fn google_ads_click_conversions_are_recognised() {
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
    assert!(rows.clone().in_zone("Mars").is_err() && rows.clone().in_zone("0800").is_err());
    let header = "Google Click ID,GBRAID,WBRAID,Conversion Name,Conversion Time";
    let rows = self::rows(header).unwrap().in_zone("+0800").unwrap();
    for (ids, expected) in [
        (["", "", "w"], r#"{"wbraid":"w","object_id":"w","kind""#),
        (["", "b", "w"], r#"{"gbraid":"b","object_id":"b","wbraid":"w","kind""#),
        (["g", "b", ""], r#"{"gclid":"g","object_id":"g","gbraid":"b","kind""#),
    ] {
        let record = rows.record([ids[0], ids[1], ids[2], "closed_won", "2022-04-13 14:00:00"]).unwrap();
        assert!(record.starts_with(expected) && record.contains("2022-04-13T06:00:00Z"), "{record}");
    }
}

//! Prints how long decoding takes, in nanoseconds an event, for a typical record of each source.
//!
//! `cargo run --release -p tributary-ingest --example decode_speed [part of a record's name]`

use std::hint::black_box;
use std::time::Instant;

use tributary_ingest::{Decoded, Decoder, Settings};
use tributary_proto::kind::Kinds;
use tributary_proto::{Message, Source};

const ROUNDS: u32 = 100_000;

const RECORDS: [(&str, Source, &str); 9] = [
    (
        "sdk track",
        Source::Sdk,
        r#"{"type":"track","event":"Trial Requested","messageId":"ajs-next-1646013960000-7f3a","anonymousId":"cookie-7f3a","originalTimestamp":"2022-04-13T20:31:00.120+08:00","sentAt":"2022-04-13T20:31:02.000+08:00","receivedAt":"2022-04-13T20:30:02.300+08:00","context":{"ip":"203.0.113.7","library":{"name":"analytics.js","version":"next-1.51.1"},"locale":"zh-CN","page":{"path":"/trial","referrer":"https://www.a-corp.example/product","search":"","title":"试用","url":"https://www.a-corp.example/trial"},"userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Safari/537.36","traits":{"email":"Zhang@B-Corp.example","phone":"138 0000 1111","name":"张先生"}},"properties":{"plan":"enterprise","seats":50},"integrations":{}}"#,
    ),
    (
        "sdk page",
        Source::Sdk,
        r#"{"type":"page","messageId":"P1","anonymousId":"cookie-7f3a","timestamp":"2022-04-13T20:24:00+08:00","context":{"page":{"url":"https://www.a-corp.example/product?utm_source=baidu&utm_medium=cpc&utm_campaign=brand-2022q1","referrer":"https://www.baidu.com/"}}}"#,
    ),
    (
        "utm hit",
        Source::Utm,
        r#"{"event_id":"A","timestamp":"2022-02-28T10:00:00+08:00","url":"https://www.a-corp.example/?utm_source=baidu&utm_medium=cpc&utm_campaign=brand-2022q1&bd_vid=8412","referrer":"https://www.baidu.com/","anonymous_id":"cookie-7f3a"}"#,
    ),
    (
        "utm hit, no id",
        Source::Utm,
        r#"{"timestamp":"2022-02-28T10:00:00+08:00","url":"https://www.a-corp.example/?utm_source=baidu&utm_medium=cpc&utm_campaign=%E5%93%81%E7%89%8C&bd_vid=8412","referrer":"https://www.baidu.com/","anonymous_id":"cookie-7f3a"}"#,
    ),
    (
        "webhook native",
        Source::Webhook,
        r#"{"provider":"native","received_at":"2022-03-03T20:00:05+08:00","headers":{"x-request-id":"1"},"body":{"event_id":"C","timestamp":"2022-03-03T20:00:00+08:00","wechat_openid":"gh_acorp:oZhang","phone":"+86 138-0000-1111","channel":"live_stream","source":"weike","medium":"live","campaign":"launch-live"}}"#,
    ),
    (
        "webhook wechat",
        Source::Webhook,
        r#"{"provider":"wechat","received_at":"2022-02-28T10:06:01+08:00","headers":{},"body":"<xml><ToUserName><![CDATA[gh_acorp]]></ToUserName><FromUserName><![CDATA[oZhang]]></FromUserName><CreateTime>1646013960</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[qrscene_aid_cookie-7f3a]]></EventKey><Ticket><![CDATA[TICKET]]></Ticket></xml>"}"#,
    ),
    (
        "offline touch",
        Source::Offline,
        r#"{"event_id":"F","timestamp":"2022-04-18 15:00:00","source":"field","medium":"meeting","email":"zhang@b-corp.example","crm_contact":"003Z","account":"001B","traits.name":"张先生"}"#,
    ),
    (
        "milestone",
        Source::Offline,
        r#"{"kind":"milestone","event_id":"M3","milestone":"closed_won","object_id":"006X","timestamp":"2022-04-28T16:00:00+08:00","account":"001B","crm_contact":"003Z","value":"300000.00","currency":"CNY"}"#,
    ),
    (
        "foreign phone",
        Source::Offline,
        r#"{"event_id":"X","timestamp":"2022-04-18 15:00:00","source":"field","medium":"meeting","phone":"+1 (415) 555-2671"}"#,
    ),
];

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let decoder = Decoder::new(&Settings::default(), &Kinds::default())?;
    let mut out = Decoded::default();
    println!("{:<16} {:>12} {:>12}", "record", "decode ns", "+ encode ns");
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, source, text) in RECORDS.into_iter().filter(|(name, ..)| name.contains(&wanted)) {
        let mut spent = [0; 2];
        for (encode, spent) in [false, true].into_iter().zip(&mut spent) {
            let begin = Instant::now();
            for _ in 0..ROUNDS {
                out.clear();
                decoder.decode(source, black_box(text).as_bytes(), Some(1_700_000_000_000), &mut out)?;
                if encode {
                    out.events.iter().for_each(|event| drop(black_box(event.encode_to_vec())));
                }
                black_box(&out);
            }
            *spent = begin.elapsed().as_nanos() / u128::from(ROUNDS);
        }
        println!("{name:<16} {:>12} {:>12}", spent[0], spent[1]);
    }
    Ok(())
}

//! TLS and SASL SCRAM against a real Apache Kafka: what is right works, what is wrong is said, and no secret shows anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use support::command::{err, out};
use support::service::Service;

const PASSWORD: &str = "sentinel-password-7f3a";
const OTHER_PASSWORD: &str = "sentinel-password-9c1d";
/// In an event of every topic: must not be in logs or metrics.
const PERSON: &str = "sentinel.person@b-corp.example";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a key store for the broker; returns its file.
fn key_store(folder: &Path, name: &str, host: &str, until_year: i32, issuer: &Issuer) -> PathBuf {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let file = folder.join(format!("{name}.pem"));
    fs::write(&file, key.serialize_pem() + &certificate.pem()).unwrap();
    file
}

/// A broker with a good listener, and two whose certificates are of another host and expired.
struct Broker {
    folder: PathBuf,
}

impl Broker {
    fn start(folder: &Path) -> Option<Self> {
        let issuer = authority("the authority");
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        fs::write(folder.join("other.pem"), authority("another authority").pem()).unwrap();
        let good = key_store(folder, "good", "localhost", 2100, &issuer);
        let elsewhere = key_store(folder, "elsewhere", "kafka.example", 2100, &issuer);
        let expired = key_store(folder, "expired", "localhost", 2021, &issuer);
        let mut settings = String::from(
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS;User:service\n",
        );
        let mut arguments: Vec<String> = Vec::new();
        for (name, store) in [("GOOD", good), ("ELSEWHERE", elsewhere), ("EXPIRED", expired)] {
            let listener = format!("listener.name.{}", name.to_lowercase());
            settings += &format!(
                "{listener}.ssl.keystore.type=PEM\n{listener}.ssl.keystore.location={}\n\
                 {listener}.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
                 {listener}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
                store.display()
            );
            arguments.extend(["--listener".into(), format!("{name}=SASL_SSL")]);
        }
        fs::write(folder.join("broker.properties"), settings).unwrap();
        arguments.extend(["--settings".into(), folder.join("broker.properties").display().to_string()]);
        for (user, password) in [("service", PASSWORD), ("stranger", OTHER_PASSWORD)] {
            arguments.extend(["--scram".into(), format!("{user}={password}")]);
        }
        support::broker_in(&folder.join("broker"), &arguments)?;
        Some(Self { folder: folder.to_owned() })
    }

    fn address(&self, listener: &str) -> String {
        fs::read_to_string(self.folder.join("broker/listeners").join(listener)).unwrap().trim().to_owned()
    }

    /// A service that connects rightly; each test changes what it will.
    fn service(&self) -> Service {
        let mut service = Service::in_folder(&self.folder, 1);
        let secret = self.folder.join("secret");
        fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
        service.sets.extend([
            format!("kafka.brokers={}", self.address("GOOD")),
            "kafka.security.protocol=sasl_ssl".into(),
            format!("kafka.security.ca={}", self.folder.join("ca.pem").display()),
            "kafka.security.mechanism=scram-sha-512".into(),
            "kafka.security.username=service".into(),
            format!("kafka.security.password=${{file:{}}}", secret.display()),
        ]);
        service
    }
}

fn check_no_secrets(texts: &[&str], secrets: &[&str]) {
    for (text, secret) in texts.iter().flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
        assert!(!text.contains(secret), "{secret} shows in: {text}");
    }
}

/// Events of every topic that name somebody, one of each refused.
fn send(service: &Service, folder: &Path) {
    let event = format!(r#"{{"email": "{PERSON}", "timestamp": "2024-05-01T10:00:00Z"}}"#);
    let refused = format!(r#"{{"email": "{PERSON}", "timestamp": "{PERSON}"}}"#);
    let won = format!(
        r#"{{"kind": "milestone", "milestone": "closed_won", "object_id": "1", "email": "{PERSON}", "timestamp": "2024-06-01T10:00:00Z"}}"#
    );
    let sdk = format!(
        r#"{{"type": "track", "event": "Signed Up", "messageId": "m1", "timestamp": "2024-05-01T10:00:00Z", "userId": "u1", "traits": {{"email": "{PERSON}"}}}}"#
    );
    let webhook = |body: &str| {
        format!(r#"{{"provider": "native", "received_at": "2024-05-02T10:00:00Z", "headers": {{}}, "body": {body}}}"#)
    };
    let mut arguments = vec!["send".to_owned()];
    for (topic, lines) in [
        ("sdk", vec![sdk, format!("{{\"type\": \"{PERSON}\"}}")]),
        ("utm", vec![event.clone(), refused.clone()]),
        ("webhook", vec![webhook(&event), webhook(&refused), format!("<{PERSON}>")]),
        ("offline", vec![event, refused, won]),
    ] {
        let file = folder.join(format!("{topic}.ndjson"));
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        arguments.extend([format!("--{topic}"), file.display().to_string()]);
    }
    service.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_right_connection_works_and_wrong_ones_give_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start(folder.path()) else { return };
    let service = broker.service();
    service.ok(&["topics", "create"]);
    send(&service, folder.path());
    let run = service.command(&["run", "--until-idle", "1", "--log-level", "trace"]);
    assert!(run.status.success(), "{}", err(&run));
    let credits = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    assert!(credits.contains("closed_won:1"), "{credits}");
    let letters = service.ok(&["dead-letters", "list", "--json"]);
    assert_eq!(letters.lines().count(), 5, "{letters}");
    let config = service.command(&["check", "--json"]);
    check_no_secrets(&[&err(&run), &out(&run), &letters, &out(&config), &err(&config)], &[PASSWORD, PERSON]);

    let elsewhere = broker.address("ELSEWHERE");
    let cases: [(&str, Vec<String>); 6] = [
        (
            "not signed by an authority in kafka.security.ca",
            vec![format!("kafka.security.ca={}", folder.path().join("other.pem").display())],
        ),
        ("it is of another host", vec![format!("kafka.brokers={elsewhere}")]),
        ("it has expired", vec![format!("kafka.brokers={}", broker.address("EXPIRED"))]),
        ("kafka.security.password is wrong", vec![format!("kafka.security.password={OTHER_PASSWORD}")]),
        (
            "may not describe topic tributary.",
            vec!["kafka.security.username=stranger".into(), format!("kafka.security.password={OTHER_PASSWORD}")],
        ),
        (
            "no answer from the brokers",
            ["protocol=plaintext", "ca=", "username=", "password="].map(|set| format!("kafka.security.{set}")).into(),
        ),
    ];
    for (why, sets) in cases {
        let mut service = broker.service();
        service.sets.extend(sets);
        let found = service.command(&["check", "--timeout", "5"]);
        let text = out(&found) + &err(&found);
        assert!(!found.status.success() && text.contains(why), "expected {why}: {text}");
        check_no_secrets(&[&text], &[PASSWORD, OTHER_PASSWORD]);
    }
}

//! A secret in the wrong type or place: whatever is said about it, nothing repeats it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tributary_pipeline::settings::Settings;
use tributary_runtime::config::{Sources, defaults, keys, load};

/// What is planted: as text, as a number, and as the beginning of a key in PEM.
const TEXT: &str = "s3nt1nelHunter2";
const NUMBER: &str = "847290123";

/// Every setting that is a secret, with the keys that must be set beside it; and whether it is a list.
const SECRETS: [(&str, &str, bool); 8] = [
    ("kafka.security.password", "", false),
    ("kafka.security.key_password", "", false),
    ("kafka.client.\"sasl.password\"", "", false),
    ("kafka.client.\"linger.ms\"", "", false),
    ("admin.token", "", false),
    ("collector.write_keys.web", "", false),
    ("collector.webhooks.crm.secrets", "collector.webhooks.crm.signature = \"hubspot\"\n", true),
    ("collector.webhooks.wx.aes_keys", "collector.webhooks.wx.signature = \"wechat\"\n", true),
];

/// What is written for a value: `S` is replaced by the text, `N` by the number.
const VALUES: [&str; 40] = [
    "N",
    "-N",
    "N.5",
    "0xS",
    "1979-05-27",
    "[N]",
    "[[\"S\"]]",
    "[\"S\", N]",
    "[{ x = \"S\" }]",
    "{ x = \"S\" }",
    "{ S = 1 }",
    "{ x = { y = \"S\" } }",
    "{ x = N }",
    "[\"S\"]",
    "\"S\"",
    "\"\"",
    "S",
    "S-S.S",
    "'S",
    "\"S",
    "\"\"\"S",
    "\"S\" S",
    "\"S\"\"",
    "\"S\\q\"",
    "[\"S\"",
    "[\"S\", S]",
    "{ x = \"S\"",
    "\"S\" # S\n\"S\"",
    "\"${env:S}\"",
    "\"${file:S}\"",
    "\"${S}\"",
    "\"${env:S\"",
    "\"${file:/etc/hostname}${env:S}\"",
    "true S",
    "\"S\" = 1",
    "= \"S\"",
    "\n\"S\"",
    "\n[S]",
    "\"\u{1}S\"",
    "-----BEGIN S",
];

/// Lines in which a secret has lost its key, or has another one: `K` is replaced by the key.
const LINES: [&str; 16] = [
    "K \"S\"",
    "K: \"S\"",
    "K S = 1",
    "K = \"S\"\nK = \"S\"",
    "K.S = 1",
    "K.x = \"S\"",
    "[K]\nx = \"S\"",
    "[[K]]\nx = \"S\"",
    "[K.S]\nx = 1",
    "Kx = \"S\"",
    "kafka.passwrod = \"S\"",
    "kafka.security.pasword = \"S\"",
    "collector.write_key = \"S\"",
    "collector.webhook.x.secrets = \"S\"",
    "\"S\"",
    "S",
];

fn planted(text: &str) -> String {
    text.replace('S', TEXT).replace('N', NUMBER)
}

fn holds(said: &str) -> bool {
    said.contains(TEXT) || said.contains(NUMBER)
}

/// Whether the secret is in the place of a key. Keys are printed: who swaps the two has published the secret.
fn is_key(form: &str) -> bool {
    ["{ S = 1 }", "K.S = 1", "[K.S]\nx = 1", "\n[S]", "= \"S\""].contains(&form)
}

/// Every file, variable and flag with which somebody may get a secret wrong.
fn cases() -> Vec<(String, Sources)> {
    let mut cases = Vec::new();
    for (key, beside, _) in SECRETS {
        let values = VALUES.iter().map(|value| (*value, format!("{beside}{key} = {}\n", planted(value))));
        let lines = LINES.iter().map(|line| (*line, format!("{beside}{}\n", planted(&line.replace('K', key)))));
        for (form, text) in values.chain(lines).filter(|(form, _)| !is_key(form)) {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("secrets-{}", cases.len()));
            fs::create_dir_all(&folder).unwrap();
            let file = folder.join("t.toml");
            fs::write(&file, text).unwrap();
            cases.push((format!("file {key}: {form:?}"), Sources { files: vec![file], ..Sources::default() }));
        }
        let bare = key.replace('"', "");
        for value in [
            "S",
            "N",
            "[\"S\"]",
            "[S",
            "{ x = \"S\" }",
            "\"S",
            "[[\"S\"]]",
            "[N]",
            "${env:S}",
            "${file:S}",
            "${S",
            "true",
            "S S",
            "{S}",
        ] {
            let flag = format!("{bare}={}", planted(value));
            cases.push((format!("flag {flag}"), Sources { flags: vec![flag], ..Sources::default() }));
            let name = format!("TRIBUTARY_{}", bare.replacen('.', "__", 2).replace('.', "__").to_uppercase());
            let environment = BTreeMap::from([(name.clone(), planted(value))]);
            cases.push((format!("variable {name} {value}"), Sources { environment, ..Sources::default() }));
            let single = BTreeMap::from([(format!("TRIBUTARY_{}", bare.replace('.', "_").to_uppercase()), planted(value))]);
            cases.push((format!("variable without __ {name}"), Sources { environment: single, ..Sources::default() }));
        }
        for flag in ["K S", "K:S", "K 'S'", "S", "K x=S", "Kx=S", "K.x=S", "=S", "K==S", "k S=1", "\"K\"=S", "K,S", "S S"] {
            let flag = planted(&flag.replace('K', &bare));
            cases.push((format!("flag {flag}"), Sources { flags: vec![flag], ..Sources::default() }));
        }
    }
    // A secret in the place of everything else.
    for key in keys::<Settings>() {
        for value in ["S", "N", "[\"S\"]", "${env:S}", "${file:S}", "-----BEGIN S"] {
            let flag = format!("{key}={}", planted(value));
            cases.push((format!("flag {flag}"), Sources { flags: vec![flag], ..Sources::default() }));
        }
    }
    for file in ["key", "ca", "certificate"] {
        let flags =
            vec!["kafka.security.protocol=ssl".into(), format!("kafka.security.{file}={}", planted("-----BEGIN KEY-----\nS"))];
        cases.push((format!("PEM for {file}"), Sources { flags, ..Sources::default() }));
    }
    cases
}

#[test]
fn every_secret_is_in_the_list() {
    let mut masked = 0;
    let text = SECRETS.map(|(key, beside, list)| {
        let value = if key.contains("client") { "\"5\"".into() } else { format!("\"{}\"", "a".repeat(43)) };
        format!("{beside}{key} = {}\n", if list { format!("[{value}]") } else { value })
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("all-secrets.toml");
    // A login that is not passed through would be refused.
    fs::write(&file, text.concat().replace("kafka.client.\"sasl.password\" = \"5\"\n", "")).unwrap();
    let settings: Settings = match load(&Sources { files: vec![file], ..Sources::default() }) {
        Ok(settings) => settings,
        Err(errors) => {
            assert!(errors.0.iter().all(|error| error.key.contains("webhooks")), "{errors}");
            return;
        }
    };
    masked += serde_json::to_string(&settings).unwrap().matches("\"***\"").count();
    assert_eq!(masked, SECRETS.len() - 1);
    assert!(!format!("{settings:?}").contains("aaaaaaaa"));
    assert!(!defaults::<Settings>().to_string().contains("***"));
}

#[test]
fn no_error_of_the_configuration_repeats_a_secret() {
    let mut errors = 0;
    let mut told = Vec::new();
    for (what, sources) in cases() {
        if let Err(found) = load::<Settings>(&sources) {
            errors += 1;
            let said = format!("{found} {found:?}");
            if holds(&said) && !what.contains(&format!("\"{TEXT}\"=")) {
                told.push(format!("{what}\n    {found}"));
            }
        }
    }
    assert!(told.is_empty(), "{} of {errors} errors:\n{}", told.len(), told.join("\n"));
    eprintln!("{errors} errors");
    assert!(errors > 400, "{errors}");
}

/// A process with these sources, and its output.
fn said(args: &[&str], sources: &Sources) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.env_remove("TRIBUTARY_CONFIG").args(args).envs(&sources.environment);
    command.args(sources.files.iter().flat_map(|file| ["--config", file.to_str().unwrap()]));
    command.args(sources.flags.iter().flat_map(|flag| ["--set", flag]));
    let found = command.output().unwrap();
    assert_eq!(found.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned()
}

#[test]
fn no_command_prints_a_secret() {
    let broken: Vec<_> = cases().into_iter().filter(|(_, sources)| load::<Settings>(sources).is_err()).collect();
    for (at, (what, sources)) in broken.iter().enumerate().step_by(4) {
        let format =
            Sources { environment: BTreeMap::from([("TRIBUTARY_LOG__FORMAT".into(), "json".into())]), ..Sources::default() };
        let mut json = sources.clone();
        json.environment.extend(format.environment);
        let (args, sources): (&[&str], &Sources) = match (at / 4) % 4 {
            0 => (&["check"], sources),
            1 => (&["check", "--json"], &json),
            2 => (&["run"], &json),
            _ => (&["run", "--json"], sources),
        };
        let said = said(args, sources);
        assert!(!holds(&said), "{what}: {said}");
    }
}

#[test]
fn a_setting_that_the_command_line_cannot_place_is_not_repeated() {
    let key = "collector.write_keys.web";
    let assigned = format!("{key}={TEXT}");
    for args in [
        vec!["run", "--sett", &assigned],
        vec!["run", &assigned],
        vec![&assigned],
        vec!["--set", key, TEXT, "run"],
        vec!["--set", key, "=", TEXT],
        vec!["run", "--set=a.b=c", TEXT],
        vec!["run", "--set", "a.b=correct", TEXT],
        vec!["run", "-s", &assigned],
        vec!["--sat=collector.write_keys.web=s3nt1nelHunter2", "run"],
        vec!["check", "--log-level", &assigned],
        vec!["run", "--stages", &assigned],
        vec!["tail", &assigned],
    ] {
        for format in ["text", "json"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
            let found =
                command.env_remove("TRIBUTARY_CONFIG").env("TRIBUTARY_LOG__FORMAT", format).args(&args).output().unwrap();
            let said = String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned();
            assert!(found.status.code() == Some(2) && !holds(&said) && !said.is_empty(), "{args:?}: {said}");
        }
    }
}

//! What `deploy` starts and sets, for systemd, in the image, with Compose and on Kubernetes: command lines can be read, settings load, and they
//! agree with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;
use tributary_cli::args::Cli;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::config::{Sources, load};

use super::deploy;

fn text(name: &str) -> String {
    fs::read_to_string(deploy(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What a pattern finds: its first group.
fn found(pattern: &str, text: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The words of a list of YAML or JSON in one line, without its brackets.
fn words(list: &str) -> Vec<String> {
    list.split(',').map(|word| word.trim().trim_matches(['"', '\'']).to_owned()).collect()
}

/// The lists of words under a key, in one line or a line each.
fn lists(key: &str, text: &str) -> Vec<Vec<String>> {
    let in_a_line = found(&format!(r"(?m)^ *{key}: \[(.+)\]$"), text);
    let in_lines = found(&format!(r"(?m)^ *{key}:\n((?: +- \S+\n)+)"), text);
    let lines = |list: &String| list.lines().map(|line| line.trim().trim_start_matches("- ").to_owned()).collect();
    in_a_line.iter().map(|list| words(list)).chain(in_lines.iter().map(lines)).collect()
}

/// Settings from these files and variables, which can be run with.
fn settings(files: &[&str], environment: BTreeMap<String, String>) -> Settings {
    let files = files.iter().map(deploy).collect();
    let settings = load(&Sources { files, environment, ..Sources::default() }).unwrap_or_else(|errors| panic!("{errors}"));
    Pipeline::compile(&settings).unwrap_or_else(|errors| panic!("{errors}"));
    settings
}

#[test]
fn command_lines_can_be_read() {
    let mut lines = Vec::new();
    for unit in ["tributary", "tributary-collect", "tributary-audit"] {
        let unit = text(&format!("systemd/{unit}.service"));
        lines
            .extend(found(r"(?m)^ExecStart=/usr/bin/tributary (.+)$", &unit).iter().map(|line| words(&line.replace(' ', ","))));
    }
    lines.extend(lists("CMD", &text("Dockerfile").replace("CMD [", "CMD: [")).into_iter().filter(|words| words[0] != "curl"));
    let compose = text("compose.yml");
    lines.extend(lists("command", &compose).into_iter().filter(|words| !words[0].starts_with("--")));
    let manifests = ["pipeline", "collector", "audit"].map(|name| text(&format!("kubernetes/{name}.yaml"))).concat();
    lines.extend(lists("args", &manifests).into_iter().filter(|words| !words[0].starts_with(['-', '|'])));
    let in_shells = compose + &manifests;
    let in_shells = found(r"\btributary (audit[^;|\n]+)", &in_shells);
    lines.extend(in_shells.iter().map(|line| words(&line.trim().replace(' ', ","))));
    assert_eq!(lines.len(), 3 + 1 + 4 + 2 + 2, "{lines:?}");
    for line in lines {
        let words = std::iter::once("tributary".to_owned()).chain(line.iter().cloned());
        if let Err(error) = Cli::of(words.map(Into::into).collect()) {
            panic!("{line:?}\n{error}");
        }
    }
}

/// The environment overrides files: a setting there would override that of a manifest, as the listener for probes once.
#[test]
fn the_image_sets_nothing_that_a_mounted_file_could_not() {
    let dockerfile = text("Dockerfile");
    let set: BTreeSet<_> = found(r"(?m)^(?:ENV| +) *(TRIBUTARY_\w+=\S+)", &dockerfile).into_iter().collect();
    let path = "/etc/tributary/tributary.toml";
    assert_eq!(set, BTreeSet::from([format!("TRIBUTARY_CONFIG={path}")]));
    assert!(dockerfile.contains(&format!("COPY deploy/config/image.toml {path}\n")));
    let probes = settings(&["config/image.toml"], BTreeMap::new()).http.probes.unwrap();
    assert!(dockerfile.contains(&format!("http://{probes}/livez")), "{probes}");
}

#[test]
fn the_image_is_built_with_the_version_of_this_repository() {
    let dockerfile = text("Dockerfile");
    let toolchain = found("channel = \"(.+)\"", &text("../rust-toolchain.toml"));
    assert_eq!(found(r"FROM rust:(\S+)-slim-", &dockerfile), toolchain);
    for file in ["Dockerfile", "compose.yml", "kubernetes/kustomization.yaml"] {
        for version in found(r"(?:VERSION=|tributary:|newTag: )(\d+\.\S+)", &text(file)) {
            assert_eq!(version, env!("CARGO_PKG_VERSION"), "{file}");
        }
    }
}

#[test]
fn compose_and_units_set_what_there_is() {
    let compose = found(r"(?m)^ +(TRIBUTARY_\w+: .+)$", &text("compose.yml"));
    let pair =
        |line: &String| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()));
    let environment: BTreeMap<_, _> = compose.iter().filter_map(pair).collect();
    let settings = settings(&["config/image.toml"], environment);
    assert!(settings.collects());
    let compose = text("compose.yml");
    for listener in [settings.http.listen, settings.collector.listen] {
        let port = listener.port();
        assert!(!listener.ip().is_loopback() && compose.contains(&format!("'127.0.0.1:{port}:{port}'")), "{listener}");
    }
    for unit in ["tributary", "tributary-collect", "tributary-audit"] {
        let unit = text(&format!("systemd/{unit}.service"));
        let environment = found("(?m)^Environment=(.+)$", &unit).join(" ");
        let environment =
            environment.split(' ').filter_map(|one| one.split_once('=')).map(|(name, value)| (name.into(), value.into()));
        let state = self::settings(&["config/minimal.toml"], environment.collect()).state.path;
        let folder = found("(?m)^StateDirectory=(.+)$", &unit);
        assert_eq!(state.to_str().unwrap(), format!("/var/lib/{}", folder[0]));
    }
}

#[test]
fn pods_listen_where_manifests_say() {
    let secrets = tempfile::tempdir().unwrap();
    for name in ["admin", "web_write_key"] {
        fs::write(secrets.path().join(name), "0123456789abcdef0123456789abcdef\n").unwrap();
    }
    let file = secrets.path().join("tributary.toml");
    let configuration = text("kubernetes/tributary.toml").replace("/run/secrets/tributary", secrets.path().to_str().unwrap());
    fs::write(&file, configuration).unwrap();
    let environment =
        [("POD_NAME", "tributary-0"), ("POD_NAMESPACE", "default")].map(|(name, value)| (name.into(), value.into()));
    let settings = settings(&[file.to_str().unwrap()], environment.into());
    assert!(settings.collects() && settings.state.path.starts_with("/var/lib/tributary"));
    let [pipeline, collector] = ["pipeline", "collector"].map(|name| text(&format!("kubernetes/{name}.yaml")));
    let probes = settings.http.probes.unwrap();
    for (name, listener, manifests) in [
        ("metrics", settings.http.listen, [&pipeline, &collector].as_slice()),
        ("probes", probes, &[&pipeline, &collector]),
        ("admin", settings.admin.listen, &[&pipeline]),
        ("collect", settings.collector.listen, &[&collector]),
    ] {
        assert!(!listener.ip().is_loopback(), "{name}: {listener}");
        for manifest in manifests {
            let port = format!("- name: {name}\n              containerPort: {}\n", listener.port());
            assert!(manifest.contains(&port), "{name}: {listener}");
        }
    }
    let admitted = text("kubernetes/network.yaml");
    for port in [settings.http.listen, settings.admin.listen, settings.collector.listen].map(|listener| listener.port()) {
        assert!(admitted.contains(&format!("- port: {port}\n")), "{port}");
    }
}

/// The package has every unit, and what it takes is there.
#[test]
fn the_package_takes_what_there_is() {
    let manifest: toml::Table = text("../cli/Cargo.toml").parse().unwrap();
    let assets: Vec<[String; 3]> = manifest["package"]["metadata"]["deb"]["assets"].clone().try_into().unwrap();
    let maker = text("../scripts/deb");
    for [source, ..] in &assets {
        let Some(source) = source.strip_prefix("../deploy/") else {
            let made =
                source.replace("../target/package", "$made").replace("target/release", "$target/release").replace("/*", "");
            assert!(maker.contains(&made), "scripts/deb does not make {source}");
            continue;
        };
        let (folder, name) = source.rsplit_once('/').unwrap();
        let (start, end) = name.split_once('*').unwrap_or((name, ""));
        let mut names = fs::read_dir(deploy(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(names.any(|name| name.starts_with(start) && name.ends_with(end)), "there is no {source}");
    }
    for unit in fs::read_dir(deploy("systemd")).unwrap() {
        let unit = unit.unwrap().file_name().into_string().unwrap();
        let taken = assets.iter().any(|[source, ..]| {
            let (start, end) = source.split_once('*').unwrap_or((source, ""));
            let unit = format!("../deploy/systemd/{unit}");
            unit.starts_with(start) && unit.ends_with(end)
        });
        assert!(taken, "{unit} is not in the package");
    }
}

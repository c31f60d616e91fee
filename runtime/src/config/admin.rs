//! `[admin]`: the address on which a running process answers questions about its state.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::section::{Given, Problems, Section};

/// `[admin]`: where a process on Kafka answers `explain`, `profile` and `audit`. The answers contain personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port; port 0 takes any free one. Plain HTTP.
    pub listen: SocketAddr,
    /// `host:port` under which other machines reach it; empty for the listening address.
    pub advertise: String,
    /// The token that callers must have; empty for none, on loopback only.
    pub token: Secret,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), advertise: String::new(), token: Secret::default() }
    }
}

/// Refuses settings that would expose the state, or make the endpoint unreachable.
impl Section for AdminSettings {
    const NAME: &'static str = "admin";
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        let local = self.listen.ip().is_loopback();
        let guarded = local || !self.token.is_empty();
        problems.unless(guarded, "token", "is needed where admin.listen is not loopback: answers hold personal data");
        let named = !self.listen.ip().is_unspecified() || !self.advertise.is_empty();
        problems.unless(named, "advertise", "is needed where admin.listen is every address of the machine");
        let advertise = self.advertise.is_empty() || is_host_and_port(&self.advertise);
        problems.unless(advertise, "advertise", "expected host:port");
        let header = self.token.expose().bytes().all(|byte| byte.is_ascii_graphic());
        problems.unless(header, "token", "expected visible ASCII characters without spaces");
        Some(())
    }
}

/// Whether a text is `host:port`. It becomes part of a client's name and of a header.
fn is_host_and_port(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    !host.is_empty() && host.bytes().all(legal) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(listen: &str, advertise: &str, token: &str) -> Vec<String> {
        let settings =
            AdminSettings { listen: listen.parse().unwrap(), advertise: advertise.into(), token: Secret::new(token) };
        let mut problems = Problems::default();
        settings.compile_in(&Given::new(&Default::default()), &mut problems);
        problems.0.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn beyond_loopback_a_token_and_an_address_are_needed() {
        assert_eq!(problems("127.0.0.1:0", "", ""), [""; 0]);
        assert_eq!(problems("[::1]:9465", "", ""), [""; 0]);
        assert_eq!(problems("10.0.0.7:9465", "", ""), ["admin.token"]);
        assert_eq!(problems("0.0.0.0:9465", "", ""), ["admin.token", "admin.advertise"]);
        assert_eq!(problems("0.0.0.0:9465", "tributary-0.tributary:9465", "s3cret"), [""; 0]);
        assert_eq!(problems("[::]:9465", "[fd00::7]:9465", "s3cret"), [""; 0]);
        for wrong in ["tributary-0", "host:0", "host:99999", ":9465", "a b:1", "a@b:1"] {
            assert_eq!(problems("0.0.0.0:9465", wrong, "s3cret"), ["admin.advertise"], "{wrong}");
        }
        assert_eq!(problems("127.0.0.1:0", "", "two words"), ["admin.token"]);
    }
}

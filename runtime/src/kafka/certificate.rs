//! Finds out why a broker's certificate was refused: the client reports only that it was.
//!
//! OpenSSL, which refused it, is asked again on a separate connection over which nothing is sent.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{HandshakeError, SslConnector, SslConnectorBuilder, SslMethod};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509VerifyResult};

/// Timeout for each answer of the broker.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the certificate of the broker at `address` (host and port) is not trusted, by the authorities in the file `ca` or those of the
/// system. `None` if that cannot be determined.
pub(super) fn why_refused(address: &str, ca: Option<&str>) -> Option<&'static str> {
    let (host, _) = address.rsplit_once(':')?;
    let mut connector = SslConnector::builder(SslMethod::tls()).ok()?;
    if let Some(ca) = ca {
        trust_only(&mut connector, &fs::read(ca).ok()?).ok()?;
    }
    let target = address.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&target, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    match connector.build().connect(host.trim_matches(['[', ']']), stream) {
        Err(HandshakeError::Failure(failed)) => reason(failed.ssl().verify_result()),
        _ => None,
    }
}

fn trust_only(connector: &mut SslConnectorBuilder, authorities: &[u8]) -> Result<(), ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for authority in X509::stack_from_pem(authorities)? {
        store.add_cert(authority)?;
    }
    connector.set_cert_store(store.build());
    Ok(())
}

/// The reason, with what to do. The numbers are OpenSSL's [`X509_V_ERR_...`].
///
/// [`X509_V_ERR_...`]: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
fn reason(found: X509VerifyResult) -> Option<&'static str> {
    match found.as_raw() {
        0 => None,
        9 => Some("it is not valid yet: compare the clocks"),
        10 => Some("it has expired: the broker needs a new one"),
        62 | 64 => Some("it is of another host: correct kafka.brokers, or what the broker advertises"),
        2 | 18..=21 => Some("it is not signed by an authority in kafka.security.ca"),
        _ => Some(found.error_string()),
    }
}

//! Handles a request: identifies the sender, reads the content, and writes its records to the log. The answer waits for the log.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use metrics::{counter, histogram};
use tributary_ingest::limits::JSON_BYTES_MAX;
use tributary_runtime::topic::Topic;

use crate::addresses::Addresses;
use crate::budget::Room;
use crate::keys::{Known, WriteKeys, basic_user};
use crate::log::Log;
use crate::metrics::{OK, PIXEL, REQUEST_SECONDS, REQUESTS, SEGMENT, UTM, WEBHOOK};
use crate::rate_limit::{Cost, Rate, RateLimit};
use crate::refusal::Refusal;
use crate::segment::{self, Call};
use crate::settings::Settings;
use crate::signature::replay::{Refused, Taken};
use crate::signature::{self, Push, Scheme, Verified};
use crate::{body, envelope, utm};

/// Shared by all requests.
pub struct Collector {
    body_bytes_max: usize,
    batch_max: usize,
    keys: WriteKeys,
    webhooks: BTreeMap<String, Webhook>,
    rate: Rate,
    addresses: Addresses,
    log: Log,
}

/// Largest ratio of records to body: fields of a batch are repeated in each of its records.
const RECORDS_BYTES: usize = 8;
/// Longest user agent that is passed on, bytes.
const AGENT_BYTES_MAX: usize = 1_024;
/// The cost of a refused request for its address.
const REFUSED: Cost = Cost { messages: 1, bytes: 0, useless: 1 };

struct Webhook {
    provider: String,
    scheme: Box<dyn Scheme>,
    taken: Taken,
    limit: RateLimit,
    keep_headers: Vec<String>,
}

impl Collector {
    /// With these settings, writing to this log.
    ///
    /// # Errors
    /// When a webhook's settings are invalid. Loaded settings have been checked.
    pub fn new(settings: &Settings, log: Log) -> Result<Self, signature::Problem> {
        let rate = Rate::new(settings.rate, settings.rate_kb);
        let header = HeaderName::try_from(&settings.proxy_header).ok();
        let addresses = Addresses::new(rate.clone(), settings.address_percent, &settings.proxies, header);
        let mut webhooks = BTreeMap::new();
        for (name, of) in &settings.webhooks {
            let webhook = Webhook {
                provider: if of.provider.is_empty() { name.clone() } else { of.provider.clone() },
                scheme: signature::compile(of)?,
                taken: Taken::default(),
                limit: RateLimit::new(rate.clone()),
                keep_headers: of.keep_headers.clone(),
            };
            webhooks.insert(name.clone(), webhook);
        }
        Ok(Self {
            body_bytes_max: settings.body_bytes_max as usize,
            batch_max: settings.batch_max as usize,
            keys: WriteKeys::new(settings, &rate),
            webhooks,
            rate,
            addresses,
            log,
        })
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The rate limit of each sender.
    pub fn rate(&self) -> &Rate {
        &self.rate
    }

    /// The write key in the headers; `None` if there is none. A wrong one is refused before the body is read.
    fn early_key(&self, headers: &HeaderMap) -> Result<Option<&Known>, Refusal> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match authorization.and_then(basic_user).filter(|user| !user.is_empty()) {
            Some(user) => self.key(Some(&user)).map(Some),
            None => Ok(None),
        }
    }

    fn key(&self, key: Option<&str>) -> Result<&Known, Refusal> {
        key.and_then(|key| self.keys.find(key)).ok_or(Refusal::Unauthorised)
    }

    /// Reads a request: its key in the headers, its body with the room it takes, and the time of receipt.
    async fn received(&self, request: Request, sender: Option<IpAddr>) -> Result<Received<'_>, Refusal> {
        let (Parts { headers, .. }, body) = request.into_parts();
        let early = self.early_key(&headers)?;
        let mut room = self.log.budget().room(sender);
        let body = body::read(&headers, body, self.body_bytes_max, &mut room).await?;
        let agent = agent(&headers).map(str::to_owned);
        Ok(Received { early, body, agent, _room: room, now: Timestamp::now() })
    }

    /// Applies the rate limits: first that of the address, so that one address cannot use up all of a key's rate.
    fn take(&self, sender: Option<IpAddr>, limit: &RateLimit, cost: Cost) -> Result<(), Refusal> {
        let now = Instant::now();
        let taken = self.addresses.take(sender, cost, now).and_then(|()| limit.take(cost, now));
        taken.map_err(|retry_after_s| Refusal::RateLimited { retry_after_s })
    }

    /// The records of a request, after the rate limits. The room of the body is given back; the records have room of their own.
    async fn segment_records(
        &self,
        call: Call,
        request: Request,
        sender: Option<IpAddr>,
    ) -> Result<(Vec<String>, Timestamp), Refusal> {
        let received = self.received(request, sender).await?;
        let request = segment::Request::read(call, &received.body, self.batch_max, self.body_bytes_max * RECORDS_BYTES)?;
        let key = received.early.map_or_else(|| self.key(request.write_key().as_deref()), Ok)?;
        self.take(sender, &key.limit, request.cost())?;
        Ok((small_enough(request.records(received.now, key.trust, received.agent.as_deref()))?, received.now))
    }

    async fn segment(&self, name: &str, request: Request, sender: Option<IpAddr>) -> Result<Response, Refusal> {
        let call = Call::find(name).ok_or(Refusal::UnknownPath)?;
        let (records, now) = self.segment_records(call, request, sender).await?;
        self.log.store(Topic::Sdk, records, now.as_millisecond()).await?;
        Ok(success())
    }

    async fn utm_records(&self, request: Request, sender: Option<IpAddr>) -> Result<(Vec<String>, Timestamp), Refusal> {
        let received = self.received(request, sender).await?;
        let hits = utm::Hits::read(&received.body, self.batch_max)?;
        let key = received.early.map_or_else(|| self.key(hits.write_key()), Ok)?;
        self.take(sender, &key.limit, Cost { bytes: received.body.len(), ..hits.cost() })?;
        Ok((small_enough(hits.records(received.now, key.trust, received.agent.as_deref()))?, received.now))
    }

    async fn utm(&self, request: Request, sender: Option<IpAddr>) -> Result<Response, Refusal> {
        let (records, now) = self.utm_records(request, sender).await?;
        self.log.store(Topic::Utm, records, now.as_millisecond()).await?;
        Ok(success())
    }

    async fn pixel(&self, request: Request, sender: Option<IpAddr>) -> Result<Response, Refusal> {
        let query = query(&request)?;
        let key = query.iter().find(|(name, _)| name == utm::WRITE_KEY).map(|(_, key)| key.as_str());
        let bytes = request.uri().query().map_or(0, str::len);
        self.take(sender, &self.key(key)?.limit, Cost { messages: 1, bytes, useless: 0 })?;
        let now = Timestamp::now();
        let page = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
        let record = utm::pixel(&query, page, agent(request.headers()), now)?;
        self.log.store(Topic::Utm, vec![record], now.as_millisecond()).await?;
        let headers = [(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")];
        Ok((headers, utm::PIXEL.as_slice()).into_response())
    }

    async fn webhook(&self, name: &str, request: Request, sender: Option<IpAddr>) -> Result<Response, Refusal> {
        let webhook = self.webhooks.get(name).ok_or(Refusal::UnknownPath)?;
        let query = query(&request)?;
        let (Parts { method, uri, headers, .. }, body) = request.into_parts();
        let mut room = self.log.budget().room(sender);
        let body = body::read(&headers, body, self.body_bytes_max, &mut room).await?;
        let (now, moment) = (Timestamp::now(), Instant::now());
        let now_ms = now.as_millisecond();
        let push = Push {
            method: method.as_str(),
            path_and_query: uri.path_and_query().map_or(uri.path(), |path| path.as_str()),
            query: &query,
            headers: &headers,
            body: &body,
            now_ms,
        };
        let (clear, replay_key) = match webhook.scheme.check(&push)? {
            Verified::Echo { text, replay_key } => {
                // Otherwise the signature of this request could be used for a push.
                webhook.taken.note(replay_key, now_ms, moment).map_err(refuse)?;
                return Ok(text.into_response());
            }
            Verified::Push { .. } if method != "POST" => return Err(Refusal::Malformed("pushes are posted")),
            Verified::Push { body, replay_key } => (body, replay_key),
        };
        self.take(sender, &webhook.limit, Cost { messages: 1, bytes: body.len(), useless: 0 })?;
        let taking = replay_key.map(|key| webhook.taken.begin(key, now_ms, moment)).transpose().map_err(refuse)?;
        let record = envelope::record(&webhook.provider, &webhook.keep_headers, &headers, &clear, now)?;
        drop(clear);
        drop((body, room));
        self.log.store(Topic::Webhook, small_enough(vec![record])?, now_ms).await?;
        if let Some(taking) = taking {
            taking.keep();
        }
        // WeChat requires this answer; for others the status is enough.
        Ok("success".into_response())
    }

    /// The sender's address, if it can be determined.
    fn sender(&self, request: &Request) -> Option<IpAddr> {
        self.addresses.sender(request.extensions(), request.headers())
    }

    /// The answer. A refusal is charged to the address that sent the request, so that guessing keys and signatures is limited.
    fn answer(
        &self,
        route: &'static str,
        started: Instant,
        sender: Option<IpAddr>,
        result: Result<Response, Refusal>,
    ) -> Response {
        let result = result.map_err(|refusal| match refusal {
            Refusal::RateLimited { .. } | Refusal::Busy | Refusal::LogAway => refusal,
            refusal => match self.addresses.take(sender, REFUSED, started) {
                Ok(()) => refusal,
                Err(retry_after_s) => Refusal::RateLimited { retry_after_s },
            },
        });
        let outcome = result.as_ref().err().map_or(OK, Refusal::code);
        counter!(REQUESTS.name, "route" => route, "outcome" => outcome).increment(1);
        histogram!(REQUEST_SECONDS.name, "route" => route).record(started.elapsed().as_secs_f64());
        result.unwrap_or_else(IntoResponse::into_response)
    }
}

/// A request whose body was read.
struct Received<'a> {
    /// The key in its headers.
    early: Option<&'a Known>,
    body: bytes::Bytes,
    /// The user agent in its headers.
    agent: Option<String>,
    _room: Room,
    now: Timestamp,
}

/// The user agent of a request, unless it is longer than that of any browser.
fn agent(headers: &HeaderMap) -> Option<&str> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    (!agent.is_empty() && agent.len() <= AGENT_BYTES_MAX).then_some(agent)
}

/// Refuses a request if one of its records would be refused for its size: here the sender can still react.
fn small_enough(records: Vec<String>) -> Result<Vec<String>, Refusal> {
    let too_large = records.iter().position(|record| record.len() > JSON_BYTES_MAX);
    match too_large.and_then(|index| records.get(index).map(|record| (index, record.len()))) {
        Some((index, bytes)) => Err(Refusal::MessageTooLarge { index, bytes, max: JSON_BYTES_MAX }),
        None => Ok(records),
    }
}

fn refuse(refused: Refused) -> Refusal {
    match refused {
        Refused::Again => Refusal::Replayed,
        Refused::Full => Refusal::Busy,
    }
}

fn query(request: &Request) -> Result<Vec<(String, String)>, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    if query.len() > utm::QUERY_BYTES_MAX {
        return Err(Refusal::TooLarge { what: "bytes of the query", max: utm::QUERY_BYTES_MAX });
    }
    Ok(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
}

fn success() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "{\"success\":true}").into_response()
}

/// `POST /v1/{call}`.
pub async fn segment(State(collector): State<Arc<Collector>>, Path(call): Path<String>, request: Request) -> Response {
    let (started, sender) = (Instant::now(), collector.sender(&request));
    collector.answer(SEGMENT, started, sender, collector.segment(&call, request, sender).await)
}

/// `POST /utm`.
pub async fn utm(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let (started, sender) = (Instant::now(), collector.sender(&request));
    collector.answer(UTM, started, sender, collector.utm(request, sender).await)
}

/// `GET /utm.gif`.
pub async fn pixel(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let (started, sender) = (Instant::now(), collector.sender(&request));
    collector.answer(PIXEL, started, sender, collector.pixel(request, sender).await)
}

/// `/webhooks/{name}`.
pub async fn webhook(State(collector): State<Arc<Collector>>, Path(name): Path<String>, request: Request) -> Response {
    let (started, sender) = (Instant::now(), collector.sender(&request));
    collector.answer(WEBHOOK, started, sender, collector.webhook(&name, request, sender).await)
}

//! What a request becomes: who sent it, what is in it, and the records of it in the log. The answer waits for the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use metrics::{counter, histogram};
use tributary_runtime::topic::Topic;

use crate::bucket::Bucket;
use crate::keys::{WriteKeys, basic_user};
use crate::log::Log;
use crate::metrics::{OK, PIXEL, REQUEST_SECONDS, REQUESTS, SEGMENT, UTM, WEBHOOK};
use crate::refusal::Refusal;
use crate::segment::{self, Call};
use crate::settings::Settings;
use crate::signature::replay::{Refused, Taken};
use crate::signature::{self, Genuine, Push, Scheme};
use crate::{body, envelope, utm};

/// Everything that requests share.
pub struct Collector {
    body_bytes_max: usize,
    batch_max: usize,
    keys: WriteKeys,
    webhooks: BTreeMap<String, Webhook>,
    log: Log,
}

struct Webhook {
    provider: String,
    scheme: Box<dyn Scheme>,
    taken: Taken,
    bucket: Bucket,
    keep_headers: Vec<String>,
}

impl Collector {
    /// With these settings, into this log.
    ///
    /// # Errors
    /// When a webhook cannot be used; settings that were loaded have been checked.
    pub fn new(settings: &Settings, log: Log) -> Result<Self, signature::Problem> {
        let mut webhooks = BTreeMap::new();
        for (name, of) in &settings.webhooks {
            let webhook = Webhook {
                provider: if of.provider.is_empty() { name.clone() } else { of.provider.clone() },
                scheme: signature::compile(of)?,
                taken: Taken::default(),
                bucket: Bucket::new(settings.rate),
                keep_headers: of.keep_headers.clone(),
            };
            webhooks.insert(name.clone(), webhook);
        }
        Ok(Self {
            body_bytes_max: settings.body_bytes_max as usize,
            batch_max: settings.batch_max as usize,
            keys: WriteKeys::new(&settings.write_keys, settings.rate),
            webhooks,
            log,
        })
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, Refusal> {
        body::read(headers, body, self.body_bytes_max).await
    }

    /// The bucket of the write key in the head, `None` where there is no key in it. A wrong one is refused before the body is read.
    fn early_key(&self, headers: &HeaderMap) -> Result<Option<&Bucket>, Refusal> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match authorization.and_then(basic_user).filter(|user| !user.is_empty()) {
            Some(user) => self.key(Some(&user)).map(Some),
            None => Ok(None),
        }
    }

    fn key(&self, key: Option<&str>) -> Result<&Bucket, Refusal> {
        key.and_then(|key| self.keys.find(key)).ok_or(Refusal::Unauthorised)
    }

    /// A request's early key, its body, and when that had come.
    async fn received(&self, request: Request) -> Result<(Option<&Bucket>, bytes::Bytes, Timestamp), Refusal> {
        let (Parts { headers, .. }, body) = request.into_parts();
        let early = self.early_key(&headers)?;
        let body = self.body(&headers, body).await?;
        Ok((early, body, Timestamp::now()))
    }

    async fn segment(&self, name: &str, request: Request) -> Result<Response, Refusal> {
        let call = Call::find(name).ok_or(Refusal::UnknownPath)?;
        let (early, body, now) = self.received(request).await?;
        let records = {
            let request = segment::Request::read(call, &body, self.batch_max)?;
            let bucket = early.map_or_else(|| self.key(request.write_key().as_deref()), Ok)?;
            take(bucket, request.count())?;
            request.records(now)
        };
        self.log.store(Topic::Sdk, records, now.as_millisecond()).await?;
        Ok(success())
    }

    async fn utm(&self, request: Request) -> Result<Response, Refusal> {
        let (early, body, now) = self.received(request).await?;
        let records = {
            let hits = utm::Hits::read(&body, self.batch_max)?;
            let bucket = early.map_or_else(|| self.key(hits.write_key()), Ok)?;
            take(bucket, hits.count())?;
            hits.records(now)
        };
        self.log.store(Topic::Utm, records, now.as_millisecond()).await?;
        Ok(success())
    }

    async fn pixel(&self, request: Request) -> Result<Response, Refusal> {
        let query = query(&request)?;
        let key = query.iter().find(|(name, _)| name == utm::WRITE_KEY).map(|(_, key)| key.as_str());
        take(self.key(key)?, 1)?;
        let now = Timestamp::now();
        let page = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
        let record = utm::pixel(&query, page, now)?;
        self.log.store(Topic::Utm, vec![record], now.as_millisecond()).await?;
        let headers = [(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")];
        Ok((headers, utm::PIXEL.as_slice()).into_response())
    }

    async fn webhook(&self, name: &str, request: Request) -> Result<Response, Refusal> {
        let webhook = self.webhooks.get(name).ok_or(Refusal::UnknownPath)?;
        let query = query(&request)?;
        let (Parts { method, uri, headers, .. }, body) = request.into_parts();
        let body = self.body(&headers, body).await?;
        let now = Timestamp::now();
        let now_ms = now.as_millisecond();
        let push = Push {
            method: method.as_str(),
            path_and_query: uri.path_and_query().map_or(uri.path(), |path| path.as_str()),
            query: &query,
            headers: &headers,
            body: &body,
            now_ms,
        };
        let (clear, once) = match webhook.scheme.check(&push)? {
            Genuine::Echo(text) => return Ok(text.into_response()),
            Genuine::Push { .. } if method != "POST" => return Err(Refusal::Malformed("pushes are posted")),
            Genuine::Push { body, once } => (body, once),
        };
        take(&webhook.bucket, 1)?;
        let refuse = |refused| match refused {
            Refused::Again => Refusal::Replayed,
            Refused::Full => Refusal::Busy,
        };
        let taking = once.map(|once| webhook.taken.begin(once, now_ms)).transpose().map_err(refuse)?;
        let record = envelope::record(&webhook.provider, &webhook.keep_headers, &headers, &clear, now)?;
        self.log.store(Topic::Webhook, vec![record], now_ms).await?;
        if let Some(taking) = taking {
            taking.keep();
        }
        // WeChat takes nothing else for an answer; to others the status is enough.
        Ok("success".into_response())
    }
}

fn take(bucket: &Bucket, messages: usize) -> Result<(), Refusal> {
    bucket.take(messages, Instant::now()).map_err(|retry_after_s| Refusal::RateLimited { retry_after_s })
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
    let started = Instant::now();
    observe(SEGMENT, started, collector.segment(&call, request).await)
}

/// `POST /utm`.
pub async fn utm(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let started = Instant::now();
    observe(UTM, started, collector.utm(request).await)
}

/// `GET /utm.gif`.
pub async fn pixel(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let started = Instant::now();
    observe(PIXEL, started, collector.pixel(request).await)
}

/// `/webhooks/{name}`.
pub async fn webhook(State(collector): State<Arc<Collector>>, Path(name): Path<String>, request: Request) -> Response {
    let started = Instant::now();
    observe(WEBHOOK, started, collector.webhook(&name, request).await)
}

fn observe(route: &'static str, started: Instant, result: Result<Response, Refusal>) -> Response {
    let outcome = result.as_ref().err().map_or(OK, Refusal::code);
    counter!(REQUESTS.name, "route" => route, "outcome" => outcome).increment(1);
    histogram!(REQUEST_SECONDS.name, "route" => route).record(started.elapsed().as_secs_f64());
    result.unwrap_or_else(IntoResponse::into_response)
}

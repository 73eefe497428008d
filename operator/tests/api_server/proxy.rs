//! A proxy between an operator and the API server: it loses answers, ends the operator after a call, answers reads with what was
//! true before, and keeps the events of watches back.

use crate::fuse::{Fuse, Verdict};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::{Client, Config};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An answer to a read.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    body: Bytes,
}

/// What reads are answered with: path and query, to the answer.
#[derive(Clone, Default)]
pub(crate) struct Recording(HashMap<String, Answer>);

impl Recording {
    /// Without what concerns this part of a path: it is answered with what is true.
    pub(crate) fn without(mut self, part: &str) -> Self {
        self.0.retain(|query, _| !query.contains(part));
        self
    }
}

#[derive(Default)]
enum Reads {
    #[default]
    Fresh,
    /// What was true when it was recorded.
    Stale(Recording),
}

struct Line {
    upstream: Client,
    fuse: Arc<Fuse>,
    reads: Mutex<Reads>,
    recorded: Mutex<Recording>,
    /// Events of watches are dropped while this is true.
    deaf: watch::Sender<bool>,
    /// Requests for paths with this in them are not answered.
    silenced: Mutex<Option<&'static str>>,
}

/// The proxy. It ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Before the API server that `upstream` talks to.
    pub(crate) async fn start(upstream: Client, fuse: Arc<Fuse>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            upstream,
            fuse,
            reads: Mutex::default(),
            recorded: Mutex::default(),
            deaf: watch::Sender::new(false),
            silenced: Mutex::default(),
        });
        let router = axum::Router::new().fallback(pass).with_state(line.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, line, task }
    }

    /// A new client; its connections are its own, as those of a new process are.
    pub(crate) fn client(&self) -> Client {
        let url = format!("http://{}", self.address);
        Client::try_from(Config::new(url.parse().unwrap())).unwrap()
    }

    /// The latest answers to all reads so far.
    pub(crate) fn recording(&self) -> Recording {
        self.line.recorded.lock().unwrap().clone()
    }

    /// Reads are answered with what was true before, as by an API server that lags behind; writes arrive.
    pub(crate) fn serve_old(&self, recording: Recording) {
        *self.line.reads.lock().unwrap() = Reads::Stale(recording);
    }

    /// Reads are answered with what is true.
    pub(crate) fn serve_fresh(&self) {
        *self.line.reads.lock().unwrap() = Reads::Fresh;
    }

    /// Requests for paths with this in them arrive and are never answered.
    pub(crate) fn silence(&self, part: &'static str) {
        *self.line.silenced.lock().unwrap() = Some(part);
    }

    /// Whether events of watches are dropped.
    pub(crate) fn drop_events(&self, deaf: bool) {
        self.line.deaf.send_replace(deaf);
    }
}

async fn pass(State(line): State<Arc<Line>>, request: Request) -> Response {
    let query = request.uri().path_and_query().map_or("/", |query| query.as_str());
    let (method, query) = (request.method().clone(), query.to_owned());
    let silenced = *line.silenced.lock().unwrap();
    if silenced.is_some_and(|part| query.contains(part)) {
        return std::future::pending().await;
    }
    let is_read = method == Method::GET;
    // Events about objects are a courtesy, and an attempt changes nothing.
    if is_read || query.contains("/events") || query.contains("dryRun=All") {
        return line.read_or_watch(request, &query, is_read).await;
    }
    match line.fuse.call(format!("{method} {query}")) {
        Verdict::Passes => line.forward(request).await,
        Verdict::AnswerLost => {
            line.forward(request).await;
            cut()
        }
        Verdict::Ends => {
            line.forward(request).await;
            line.fuse.burn();
            cut()
        }
        Verdict::Late => cut(),
    }
}

/// A connection that breaks before the answer is complete.
fn cut() -> Response {
    let broken = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    Body::from_stream(futures::stream::iter([broken])).into_response()
}

impl Line {
    async fn read_or_watch(&self, request: Request, query: &str, is_read: bool) -> Response {
        if query.contains("watch=true") {
            return self.watch(request).await;
        }
        if is_read
            && let Reads::Stale(recording) = &*self.reads.lock().unwrap()
            && let Some(answer) = recording.0.get(query)
        {
            return answer.clone().into_response();
        }
        let response = self.forward(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let Ok(body) = to_bytes(response.into_body(), BODY_BYTES_MAX).await else {
            return cut();
        };
        if is_read {
            let answer = Answer {
                status,
                body: body.clone(),
            };
            self.recorded.lock().unwrap().0.insert(query.to_owned(), answer);
        }
        (status, kept(&headers), body).into_response()
    }

    /// The events of a watch; what comes while the operator is deaf is lost to it for good.
    async fn watch(&self, request: Request) -> Response {
        let deaf = self.deaf.subscribe();
        let response = self.forward(request).await;
        let (status, headers) = (response.status(), kept(response.headers()));
        let events = response.into_body().into_data_stream();
        let heard = events.filter(move |_| futures::future::ready(!*deaf.borrow()));
        (status, headers, Body::from_stream(heard)).into_response()
    }

    async fn forward(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        for name in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION] {
            parts.headers.remove(name);
        }
        // An answer must be readable to be told apart.
        parts.headers.remove(header::ACCEPT_ENCODING);
        let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
            return cut();
        };
        let request = Request::from_parts(parts, kube::client::Body::from(body));
        match self.upstream.send(request).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                (parts.status, kept(&parts.headers), Body::new(body)).into_response()
            }
            Err(_) => cut(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (
            self.status,
            [(header::CONTENT_TYPE, "application/json")],
            self.body,
        )
            .into_response()
    }
}

/// The headers that describe a body, without those that describe a connection.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let content = headers.get(header::CONTENT_TYPE).cloned();
    content
        .map(|content| (header::CONTENT_TYPE, content))
        .into_iter()
        .collect()
}

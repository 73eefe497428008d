//! One statement until its end: pick a server, ask it, take in what it says, and try again while that can help.
//!
//! A write keeps its request id through all attempts, so that the cluster recognises a repetition. While a leader is being asked, other
//! members are asked now and then who leads: a dead leader is left as soon as there is a new one, long before its connection times out.

use super::connection::{Answer, Exchange, Trouble};
use super::retry::{Attempts, passes};
use super::routing::nearest;
use super::statement::{Control, control_of, is_of_session};
use super::{Client, ClientError, QueryResult, Statement, Tried};
use bytes::Bytes;
use geode_types::{MemberId, Outcome, QueryError};
use geode_wire::client::ClientRequest;
use geode_wire::{FRAME_BYTES_MAX, encode};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a leader may be silent before others are asked whether it still leads, and how often: at first for a leader that died, later
/// for a statement that just takes long. One asks for all statements of a client.
const WATCH_AFTER: Duration = Duration::from_millis(200);
const WATCH_EVERY: Duration = Duration::from_millis(25);
const WATCH_EVERY_LATER: Duration = Duration::from_secs(1);
const WATCH_OFTEN_TURNS: usize = 160;
const WATCH_TIMEOUT: Duration = Duration::from_millis(500);
/// How much later than its own timeout the answer to a statement may come.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);

/// Who may answer.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The leader, wherever it is.
    Leader,
    /// Any of the given endpoints.
    AnyEndpoint,
    /// This one.
    Endpoint(String),
    /// Rather a member that does not lead.
    Replica,
    /// The given endpoint that is reached fastest.
    Nearest,
}

/// What is known when trying ends without an answer.
#[derive(Default)]
struct Failures {
    tried: Vec<Tried>,
    /// The newest attempt ended with this answer.
    last: Option<QueryError>,
}

impl Failures {
    fn note(&mut self, endpoint: &str, reason: String) {
        self.tried.retain(|tried| tried.endpoint != endpoint);
        self.tried.push(Tried {
            endpoint: endpoint.to_owned(),
            reason,
        });
        self.last = None;
    }

    fn error(self, attempts: &Attempts, start: Instant) -> ClientError {
        match self.last {
            Some(error) => error.outcome(attempts.outcome()).into(),
            None => ClientError::Unavailable {
                waited: start.elapsed(),
                tried: self.tried,
                outcome: attempts.outcome(),
            },
        }
    }
}

impl Client {
    pub(crate) async fn run(
        &self,
        statement: &Statement,
        target: Target,
    ) -> Result<QueryResult, ClientError> {
        let in_flight = self.inner.ids.next();
        let request = ClientRequest::Execute(statement.to_wire(Some(in_flight.id)));
        let limit = statement.timeout_wanted().unwrap_or(self.inner.deadline);
        let deadline = Instant::now() + limit;
        let (answer, exchange) = self
            .drive(&request, target, deadline, Attempts::default())
            .await?;
        match answer {
            Answer::Done(result) => {
                // A transaction that was begun here ends with its session, as nobody holds it.
                // What was set on a stream would hold for whoever gets it next.
                let was_set = result.reads.is_some() && !statement.has_session();
                let is_set = was_set || is_of_session(statement.text());
                if control_of(statement.text()) == Control::None && !is_set {
                    exchange.give_back();
                }
                Ok(result)
            }
            other => Err(super::unexpected("the server", &other)),
        }
    }

    /// Sends a request until somebody answers it, and returns the session on which that was.
    pub(crate) async fn drive(
        &self,
        request: &ClientRequest,
        target: Target,
        deadline: Instant,
        attempts: Attempts,
    ) -> Result<(Answer, Exchange), ClientError> {
        self.drive_after(&[], request, target, deadline, attempts).await
    }

    /// As [`Self::drive`], behind what was set in a session: whoever is asked for the request is asked for that before.
    pub(crate) async fn drive_after(
        &self,
        settings: &[Statement],
        request: &ClientRequest,
        mut target: Target,
        deadline: Instant,
        mut attempts: Attempts,
    ) -> Result<(Answer, Exchange), ClientError> {
        let mut message = Message::of(request)?;
        let encoded = |setting: &Statement| encode(&ClientRequest::Execute(setting.to_wire(None)));
        message.settings = settings.iter().map(encoded).collect();
        let start = Instant::now();
        let mut failures = Failures::default();
        loop {
            let address = self.pick(&target);
            let pause = match self.attempt(&address, &message, &target, deadline).await {
                Ok((Answer::NotLeader(leader), _)) => {
                    failures.note(
                        &address,
                        "it does not lead, and nobody it knows of does".to_owned(),
                    );
                    self.routing().not_leader(&address, leader.as_ref());
                    target = Target::Leader;
                    attempts.hop(&self.inner.policy, leader.is_some())
                }
                Ok((Answer::Failed(error), _)) if !passes(&error) => return Err(error.into()),
                Ok((Answer::Failed(error), _)) => {
                    if error.outcome == Some(Outcome::Unknown) {
                        attempts.lost();
                    }
                    failures.note(&address, error.message.clone());
                    failures.last = Some(error);
                    attempts.fail(&self.inner.policy)
                }
                Ok(done) => return Ok(done),
                Err(Trouble::Fatal(error)) if attempts.outcome() == Outcome::Failed => {
                    return Err(error);
                }
                Err(trouble) => {
                    let reason = match trouble {
                        Trouble::Fatal(error) => error.to_string(),
                        Trouble::NotSent(reason) => reason,
                        Trouble::Lost(reason) => {
                            attempts.lost();
                            reason
                        }
                    };
                    tracing::debug!(%address, %reason, "an attempt failed");
                    failures.note(&address, reason);
                    if matches!(target, Target::Replica | Target::Nearest) {
                        target = Target::AnyEndpoint;
                    }
                    let knows_another = self.routing().failed(&address);
                    let pause = attempts.fail(&self.inner.policy);
                    pause.map(|pause| if knows_another { Duration::ZERO } else { pause })
                }
            };
            match pause.map(jittered) {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => return Err(failures.error(&attempts, start)),
            }
        }
    }

    fn pick(&self, target: &Target) -> String {
        match target {
            Target::Leader => self.routing().for_leader(),
            Target::AnyEndpoint => self
                .routing()
                .for_read(self.inner.balancing, rand::random::<u32>() as usize),
            Target::Endpoint(endpoint) => endpoint.clone(),
            Target::Replica => self.routing().for_replica(),
            Target::Nearest => {
                let endpoints = self.routing().endpoints().to_vec();
                let measured: Vec<_> = endpoints
                    .into_iter()
                    .map(|endpoint| {
                        let round_trip = self.inner.connections.round_trip(&endpoint);
                        (endpoint, round_trip)
                    })
                    .collect();
                nearest(&measured, rand::random::<u32>() as usize)
            }
        }
    }

    async fn attempt(
        &self,
        address: &str,
        message: &Message,
        target: &Target,
        deadline: Instant,
    ) -> Result<(Answer, Exchange), Trouble> {
        let sent = AtomicBool::new(false);
        let asked = OnceLock::new();
        let exchange = async {
            let link = self.inner.connections.get(address).await?;
            let _ = asked.set(link.member);
            let mut exchange = link.session().await?;
            for setting in &message.settings {
                match exchange.ask_encoded(setting).await? {
                    Answer::Done(_) => {}
                    other => return Ok((other, exchange)),
                }
            }
            sent.store(true, Ordering::Relaxed);
            let answer = exchange.ask_encoded(&message.bytes).await?;
            Ok((answer, exchange))
        };
        let left = |reason: String| {
            Err(if sent.load(Ordering::Relaxed) {
                Trouble::Lost(reason)
            } else {
                Trouble::NotSent(reason)
            })
        };
        let views = self.routing().views();
        tokio::select! {
            biased;
            answer = exchange => match answer {
                Err(Trouble::Lost(reason)) => left(reason),
                other => other,
            },
            () = self.watch_for_another_leader(address, &asked, views), if matches!(target, Target::Leader) => {
                left("another member leads now".to_owned())
            }
            () = tokio::time::sleep_until((deadline + TIMEOUT_GRACE).into()), if message.has_timeout => {
                left("no answer within the statement's timeout".to_owned())
            }
        }
    }

    /// Returns when another member than the asked one is seen to lead.
    async fn watch_for_another_leader(&self, address: &str, asked: &OnceLock<MemberId>, views: u64) {
        tokio::time::sleep(WATCH_AFTER).await;
        for turn in 0_usize.. {
            let pause = if turn < WATCH_OFTEN_TURNS {
                WATCH_EVERY
            } else {
                WATCH_EVERY_LATER
            };
            {
                let mut watch = self.inner.watch.lock().await;
                if watch.last.is_none_or(|last| last.elapsed() > pause / 2) {
                    watch.turn += 1;
                    self.ask_another(address, watch.turn).await;
                    watch.last = Some(Instant::now());
                }
            }
            if self.routing().moved_on(address, asked.get().copied(), views) {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks another candidate who leads, and waits a little for what it says. A login may take longer where all clients come at once: it goes
    /// on, and its answer counts whenever it is there.
    async fn ask_another(&self, address: &str, turn: usize) {
        let mut others = self.routing().candidates();
        others.retain(|other| other != address);
        let Some(other) = others.get(turn % others.len().max(1)).cloned() else {
            return;
        };
        let client = self.clone();
        let asking = tokio::spawn(async move {
            let link = client.inner.connections.get(&other).await.ok()?;
            if let Ok(Answer::Cluster(view)) = link.ask(&ClientRequest::Cluster).await {
                client.routing().learn(&view);
            }
            Some(())
        });
        let _ = tokio::time::timeout(WATCH_TIMEOUT, asking).await;
    }
}

/// When somebody else than a silent leader was asked who leads, and how often.
#[derive(Default)]
pub(super) struct Watch {
    last: Option<Instant>,
    turn: usize,
}

/// A request that is encoded once, however often it is sent.
struct Message {
    bytes: Bytes,
    has_timeout: bool,
    /// What is sent, and has to succeed, before.
    settings: Vec<Bytes>,
}

impl Message {
    /// A frame that the server would refuse is refused here, before it costs a connection.
    fn of(request: &ClientRequest) -> Result<Self, ClientError> {
        let bytes = encode(request);
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(ClientError::Settings(format!(
                "the statement and its parameters are {} bytes; a request holds at most {FRAME_BYTES_MAX}. Send the data in parts",
                bytes.len()
            )));
        }
        let has_timeout = matches!(request, ClientRequest::Execute(execute) if execute.timeout_ms.is_some());
        Ok(Self {
            bytes,
            has_timeout,
            settings: Vec::new(),
        })
    }
}

/// Between half and all of the pause, so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
